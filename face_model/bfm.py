"""BFM09 with expressions, made from the files that its licence lets a user download.

The Basel Face Model 2009 (Paysan et al., AVSS 2009) gives identity and albedo on 53,490
vertices; Guo et al. (CNN-based Real-time Dense Face Reconstruction, TPAMI 2018) transferred
FaceWarehouse's expressions to 53,215 of them; Deng et al. (CVPRW 2019) cut out the front of
the head, 35,709 vertices. This module joins the three as Deng et al. do.
"""

import os
import struct
import warnings

import numpy as np

from face_model.model import FaceModel
from utils.errors import InputError
from utils.mat_files import read_mat

SHAPE_VERTEX_COUNT = 53490
EXPRESSION_VERTEX_COUNT = 53215
IDENTITY_COUNT, EXPRESSION_COUNT, ALBEDO_COUNT = 80, 64, 80
MICROMETRES_PER_DECIMETRE = 1e5

_LONGEST_TEXT = 1 << 20  # bytes of std_exp.txt; it has two thousand

_BASEL = "it comes with the licence asked for at https://faces.dmi.unibas.ch/bfm/main.php?nav=1-0&id=basel_face_model"
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


def missing_files(folder):
    """Return the names of the pieces of BFM09 that are not in ``folder``."""
    return [name for name in SOURCES if not os.path.isfile(os.path.join(folder, name))]


def convert_bfm09(folder):
    """Join the pieces of BFM09 into one face model.

    Args:
        folder: where the files of :data:`SOURCES` lie.

    Returns:
        A ``FaceModel`` with 35,709 vertices and 80 identity, 64 expression and 80 albedo components.

    Raises:
        InputError: a piece is missing, damaged or of the wrong size; the sentence names it and
            says where it comes from.
    """
    for name in missing_files(folder):
        raise InputError("{}: missing; {}".format(os.path.join(folder, name), SOURCES[name]))
    length = 3 * SHAPE_VERTEX_COUNT
    basel_path = os.path.join(folder, "01_MorphableModel.mat")
    basel = _read_fields(basel_path, {
        "shapeMU": (length, 1), "shapePC": (length, None), "shapeEV": (None, 1),
        "texMU": (length, 1), "texPC": (length, None), "texEV": (None, 1)})
    front = _read_indices(os.path.join(folder, "BFM_front_idx.mat"), "idx", EXPRESSION_VERTEX_COUNT)
    trim = _read_indices(os.path.join(folder, "BFM_exp_idx.mat"), "trimIndex", SHAPE_VERTEX_COUNT)
    if len(trim) != EXPRESSION_VERTEX_COUNT:
        raise InputError("{}: trimIndex must have {} entries".format(
            os.path.join(folder, "BFM_exp_idx.mat"), EXPRESSION_VERTEX_COUNT))
    shape_rows, expression_rows = _coordinate_rows(trim[front]), _coordinate_rows(front)
    expression = _expression_basis(os.path.join(folder, "Exp_Pca.bin"), os.path.join(folder, "std_exp.txt"))
    info_path = os.path.join(folder, "facemodel_info.mat")
    return _with_mesh(info_path, len(front), dict(
        name="BFM09",
        mean_shape=_reals(basel["shapeMU"][shape_rows] / MICROMETRES_PER_DECIMETRE).reshape(-1, 3),
        identity_basis=_reals(
            _scaled(basel_path, basel["shapePC"], basel["shapeEV"], IDENTITY_COUNT, shape_rows)
            / MICROMETRES_PER_DECIMETRE),
        expression_basis=_reals(expression[expression_rows] / MICROMETRES_PER_DECIMETRE),
        mean_albedo=_reals(basel["texMU"][shape_rows]).reshape(-1, 3),
        albedo_basis=_reals(_scaled(basel_path, basel["texPC"], basel["texEV"], ALBEDO_COUNT, shape_rows)),
    ))


def _with_mesh(info_path, vertex_count, linear_parts):
    """Add triangles, masks and landmarks of ``facemodel_info.mat`` to the linear parts."""
    info = _read_fields(info_path, {
        "tri": (None, 3), "point_buf": (vertex_count, 8), "tri_mask2": (None, 3),
        "frontmask2_idx": (None, 1), "keypoints": (1, 68), "skinmask": (1, vertex_count)})
    front_vertices = _zero_based(info_path, "frontmask2_idx", info["frontmask2_idx"].reshape(-1), vertex_count)
    front_columns = _zero_based(info_path, "tri_mask2", info["tri_mask2"], len(front_vertices))
    return FaceModel(
        triangles=_zero_based(info_path, "tri", info["tri"], vertex_count),
        vertex_triangles=_zero_based(info_path, "point_buf", info["point_buf"], len(info["tri"]) + 1),
        front_vertices=front_vertices,
        front_triangles=front_vertices[front_columns],
        landmarks=_zero_based(info_path, "keypoints", info["keypoints"].reshape(-1), vertex_count),
        skin_mask=_reals(info["skinmask"]).reshape(-1),
        **linear_parts)


def _expression_basis(components_path, deviations_path):
    """Return the first components of Exp_Pca.bin times their standard deviations, micrometres.

    The file holds int32 k, then 3 * 53,215 float32 of mean, then k components of the same length.
    The mean is the neutral face's expression offset, which Deng et al. leave out.
    """
    length = 3 * EXPRESSION_VERTEX_COUNT
    size = os.path.getsize(components_path)
    if not os.access(components_path, os.R_OK):
        raise InputError("{}: may not be read; check its permissions".format(components_path))
    with open(components_path, "rb") as file:
        header = file.read(4)
        count = struct.unpack("<i", header)[0] if len(header) == 4 else -1
        if count < EXPRESSION_COUNT or size != 4 + 4 * length * (count + 1):
            raise InputError("{}: not the expression basis of 3DFace (truncated or another file); {}".format(
                components_path, _GUO))
        file.seek(4 + 4 * length)
        components = np.fromfile(file, "<f4", EXPRESSION_COUNT * length).reshape(EXPRESSION_COUNT, length)
    try:
        if os.path.getsize(deviations_path) > _LONGEST_TEXT:
            raise ValueError("longer than any such list")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without numbers, which is refused below
            deviations = np.loadtxt(deviations_path, ndmin=1).reshape(-1)
    except ValueError:
        raise InputError("{}: not a list of numbers; {}".format(deviations_path, _DENG)) from None
    if len(deviations) < EXPRESSION_COUNT:
        raise InputError("{}: {} standard deviations, at least {} are needed; {}".format(
            deviations_path, len(deviations), EXPRESSION_COUNT, _DENG))
    with np.errstate(all="ignore"):
        return components.T * deviations[:EXPRESSION_COUNT]


def _read_fields(path, shapes):
    """Return the named fields of a .mat file after comparing their shapes (None: any length)."""
    fields = read_mat(path)
    for name, wanted in shapes.items():
        shape = np.shape(fields.get(name))
        fits = len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted))
        if not fits or fields[name].dtype.kind not in "iuf":
            raise InputError("{}: field {} is missing or of the wrong size; {}".format(
                path, name, SOURCES[os.path.basename(path)]))
    return fields


def _read_indices(path, field, limit):
    return _zero_based(path, field, _read_fields(path, {field: (None, 1)})[field].reshape(-1), limit)


def _zero_based(path, field, values, limit):
    """Return MATLAB's 1-based indices counted from 0, after checking their range."""
    is_real = values.dtype.kind in "iuf"
    if not is_real or values.size == 0 or not (values.min() >= 1 and values.max() <= limit):
        raise InputError("{}: field {} points outside 1..{}; {}".format(
            path, field, limit, SOURCES[os.path.basename(path)]))
    return (values.astype(np.int64) - 1).astype(np.int32)


def _coordinate_rows(vertices):
    """Return the rows of x, y and z of each vertex in an interleaved vector."""
    return (3 * vertices[:, np.newaxis].astype(np.int64) + np.arange(3)).reshape(-1)


def _scaled(path, components, deviations, count, rows):
    """Return the first ``count`` components at ``rows``, one unit being one standard deviation."""
    if components.shape[1] < count or len(deviations) < count:
        raise InputError("{}: {} components, at least {} are needed; {}".format(
            path, min(components.shape[1], len(deviations)), count, _BASEL))
    with np.errstate(all="ignore"):
        return components[rows, :count].astype(np.float64) * deviations[:count, 0]


def _reals(values):
    with np.errstate(all="ignore"):  # what overflows is infinite, and found when the model is checked
        return np.ascontiguousarray(values, dtype=np.float32)
