"""BFM09 with expressions, built from the files that its license allows a user to download.

The Basel Face Model 2009 (Paysan et al., AVSS 2009) gives identity and albedo on 53,490
vertices; Guo et al. (CNN-based Real-time Dense Face Reconstruction, TPAMI 2018) transferred
FaceWarehouse's expressions to 53,215 of them; Deng et al. (CVPRW 2019) cut out the front of
the head, 35,709 vertices. This module joins the three as Deng et al. do.
"""

import os
import struct
import warnings
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

from face_model.model import VERTEX_VALENCE, FaceModel
from geometry.landmark_layout import LANDMARK_COUNT
from utils.errors import InputError
from utils.mat_files import read_mat

SHAPE_VERTEX_COUNT = 53490
EXPRESSION_VERTEX_COUNT = 53215
IDENTITY_COUNT, EXPRESSION_COUNT, ALBEDO_COUNT = 80, 64, 80
MICROMETERS_PER_DM = 1e5

_LONGEST_TEXT = 1 << 20  # bytes accepted of std_exp.txt, which has about two thousand

_BASEL = (
    "it comes with the license requested at "
    "https://faces.dmi.unibas.ch/bfm/main.php?nav=1-0&id=basel_face_model"
)
_GUO = "it is in CoarseData.zip, linked from https://github.com/Juyong/3DFace"
_DENG = "it is in the BFM folder of https://github.com/microsoft/Deep3DFaceReconstruction"

LICENSED_FILES = ("01_MorphableModel.mat", "Exp_Pca.bin")
SOURCES = {
    "01_MorphableModel.mat": _BASEL,
    "Exp_Pca.bin": _GUO,
    "std_exp.txt": _DENG,
    "BFM_front_idx.mat": _DENG,
    "BFM_exp_idx.mat": _DENG,
    "facemodel_info.mat": _DENG,
}

_Shape = Tuple[Optional[int], ...]  # None: any length


def missing_files(folder: str) -> List[str]:
    """Return the names of the pieces of BFM09 that are not in ``folder``."""
    return [name for name in SOURCES if not os.path.isfile(os.path.join(folder, name))]


def convert_bfm09(folder: str) -> FaceModel:
    """Join the pieces of BFM09 into one face model.

    Args:
        folder: the folder of the files of :data:`SOURCES`.

    Returns:
        A ``FaceModel`` with 35,709 vertices, 80 identity, 64 expression and 80 albedo components.

    Raises:
        InputError: a piece is missing, damaged or of the wrong size; the message names it and its
            source.
    """
    for name in missing_files(folder):
        raise InputError("{}: missing; {}".format(os.path.join(folder, name), SOURCES[name]))

    # 1. identity and albedo
    length = 3 * SHAPE_VERTEX_COUNT
    basel_path = os.path.join(folder, "01_MorphableModel.mat")
    basel = _read_fields(
        basel_path,
        {
            "shapeMU": (length, 1),
            "shapePC": (length, None),
            "shapeEV": (None, 1),
            "texMU": (length, 1),
            "texPC": (length, None),
            "texEV": (None, 1),
        },
    )

    # 2. the vertices of the front of the head, in both numberings
    trim_path = os.path.join(folder, "BFM_exp_idx.mat")
    front = _read_indices(os.path.join(folder, "BFM_front_idx.mat"), "idx", EXPRESSION_VERTEX_COUNT)
    trim = _read_indices(trim_path, "trimIndex", SHAPE_VERTEX_COUNT)
    if len(trim) != EXPRESSION_VERTEX_COUNT:
        raise InputError(
            "{}: trimIndex must have {} entries".format(trim_path, EXPRESSION_VERTEX_COUNT)
        )
    shape_rows, expression_rows = _coordinate_rows(trim[front]), _coordinate_rows(front)

    # 3. expressions
    expression = _expression_basis(
        os.path.join(folder, "Exp_Pca.bin"), os.path.join(folder, "std_exp.txt")
    )

    # 4. the model, in decimeters
    identity = _scale(basel_path, basel["shapePC"], basel["shapeEV"], IDENTITY_COUNT, shape_rows)
    albedo = _scale(basel_path, basel["texPC"], basel["texEV"], ALBEDO_COUNT, shape_rows)
    linear_parts = {
        "name": "BFM09",
        "mean_shape": _reals(basel["shapeMU"][shape_rows] / MICROMETERS_PER_DM).reshape(-1, 3),
        "identity_basis": _reals(identity / MICROMETERS_PER_DM),
        "expression_basis": _reals(expression[expression_rows] / MICROMETERS_PER_DM),
        "mean_albedo": _reals(basel["texMU"][shape_rows]).reshape(-1, 3),
        "albedo_basis": _reals(albedo),
    }
    return _with_mesh(os.path.join(folder, "facemodel_info.mat"), len(front), linear_parts)


def _with_mesh(info_path: str, vertex_count: int, linear_parts: Mapping[str, Any]) -> FaceModel:
    """Add triangles, masks and landmarks of ``facemodel_info.mat`` to the linear parts."""
    info = _read_fields(
        info_path,
        {
            "tri": (None, 3),
            "point_buf": (vertex_count, VERTEX_VALENCE),
            "tri_mask2": (None, 3),
            "frontmask2_idx": (None, 1),
            "keypoints": (1, LANDMARK_COUNT),
            "skinmask": (1, vertex_count),
        },
    )

    def indices(field: str, values: np.ndarray, limit: int) -> np.ndarray:
        return _zero_based(info_path, field, values, limit)

    front_vertices = indices("frontmask2_idx", info["frontmask2_idx"].reshape(-1), vertex_count)
    front_columns = indices("tri_mask2", info["tri_mask2"], len(front_vertices))
    return FaceModel(
        triangles=indices("tri", info["tri"], vertex_count),
        vertex_triangles=indices("point_buf", info["point_buf"], len(info["tri"]) + 1),
        front_vertices=front_vertices,
        front_triangles=front_vertices[front_columns],
        landmarks=indices("keypoints", info["keypoints"].reshape(-1), vertex_count),
        skin_mask=_reals(info["skinmask"]).reshape(-1),
        **linear_parts,
    )


def _expression_basis(components_path: str, deviations_path: str) -> np.ndarray:
    """Return the first components of Exp_Pca.bin times their standard deviations, micrometers.

    The file holds int32 k, then 3 * 53,215 float32 of mean, then k components of the same length.
    The mean is the neutral face's expression offset, which Deng et al. leave out.
    """
    # 1. components, one per column
    length = 3 * EXPRESSION_VERTEX_COUNT
    size = os.path.getsize(components_path)
    if not os.access(components_path, os.R_OK):
        raise InputError("{}: not readable; check its permissions".format(components_path))
    with open(components_path, "rb") as file:
        header = file.read(4)
        count = struct.unpack("<i", header)[0] if len(header) == 4 else -1
        if count < EXPRESSION_COUNT or size != 4 + 4 * length * (count + 1):
            raise InputError(
                "{}: not the expression basis of 3DFace (truncated or another file); {}".format(
                    components_path, _GUO
                )
            )
        file.seek(4 + 4 * length)
        components = np.fromfile(file, "<f4", EXPRESSION_COUNT * length)
    components = components.reshape(EXPRESSION_COUNT, length)

    # 2. their standard deviations
    deviations = _read_deviations(deviations_path)
    with np.errstate(all="ignore"):  # infinities are refused by check_face_model
        return components.T * deviations


def _read_deviations(path: str) -> np.ndarray:
    """Return the standard deviations of the expression components, [64]."""
    try:
        if os.path.getsize(path) > _LONGEST_TEXT:
            raise ValueError("longer than any such list")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a file without numbers, which is refused below
            deviations = np.loadtxt(path, ndmin=1).reshape(-1)
    except ValueError:
        raise InputError("{}: not a list of numbers; {}".format(path, _DENG)) from None
    if len(deviations) < EXPRESSION_COUNT:
        raise InputError(
            "{}: {} standard deviations, at least {} are needed; {}".format(
                path, len(deviations), EXPRESSION_COUNT, _DENG
            )
        )
    return deviations[:EXPRESSION_COUNT]


def _read_fields(path: str, shapes: Mapping[str, _Shape]) -> Mapping[str, Any]:
    """Return the fields of a .mat file after comparing the shapes of the named ones."""
    fields: Mapping[str, Any] = read_mat(path)
    for name, wanted in shapes.items():
        shape = np.shape(fields[name]) if name in fields else ()
        fits = len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted))
        if not fits or fields[name].dtype.kind not in "iuf":
            raise InputError(
                "{}: field {} is missing or of the wrong size; {}".format(
                    path, name, SOURCES[os.path.basename(path)]
                )
            )
    return fields


def _read_indices(path: str, field: str, limit: int) -> np.ndarray:
    values = _read_fields(path, {field: (None, 1)})[field].reshape(-1)
    return _zero_based(path, field, values, limit)


def _zero_based(path: str, field: str, values: np.ndarray, limit: int) -> np.ndarray:
    """Return MATLAB's 1-based indices counted from 0, after checking their range."""
    is_real = values.dtype.kind in "iuf"
    if not is_real or values.size == 0 or not (values.min() >= 1 and values.max() <= limit):
        raise InputError(
            "{}: field {} has indices outside 1..{}; {}".format(
                path, field, limit, SOURCES[os.path.basename(path)]
            )
        )
    return (values.astype(np.int64) - 1).astype(np.int32)


def _coordinate_rows(vertices: np.ndarray) -> np.ndarray:
    """Return the rows of x, y and z of each vertex in an interleaved vector."""
    return (3 * vertices[:, np.newaxis].astype(np.int64) + np.arange(3)).reshape(-1)


def _scale(
    path: str, components: np.ndarray, deviations: np.ndarray, count: int, rows: np.ndarray
) -> np.ndarray:
    """Return the first ``count`` components at ``rows``, one unit being one standard deviation."""
    if components.shape[1] < count or len(deviations) < count:
        raise InputError(
            "{}: {} components, at least {} are needed; {}".format(
                path, min(components.shape[1], len(deviations)), count, _BASEL
            )
        )
    with np.errstate(all="ignore"):  # infinities are refused by check_face_model
        return components[rows, :count].astype(np.float64) * deviations[:count, 0]


def _reals(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # infinities are refused by check_face_model
        return np.ascontiguousarray(values, dtype=np.float32)
