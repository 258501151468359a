"""The face model in memory, and its file format (``BFM_model_front.mat``).

Files count vertices from 1 (MATLAB); everything in memory counts from 0. Only
:func:`read_face_model` and :func:`write_face_model` convert between the two.
"""

import hashlib
import os
import weakref
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from geometry.landmark_layout import LANDMARK_COUNT
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.mat_files import read_mat, write_mat

VERTEX_VALENCE = 8  # triangles listed around each vertex; more are dropped, fewer are padded
_LARGEST_INDEX = 2**31 - 1

_FIELDS = (
    "meanshape",
    "idBase",
    "exBase",
    "meantex",
    "texBase",
    "tri",
    "point_buf",
    "frontmask2_idx",
    "tri_mask2",
    "keypoints",
    "skinmask",
)


# The arrays of the model whose fingerprint was computed last, and this fingerprint.
_LAST_FINGERPRINT: List[Tuple[List[Any], str]] = []


class FaceModel(NamedTuple):
    """A linear model of shape and albedo over a fixed triangle mesh.

    Lengths are in decimeters, x right, y up, z out of the face; albedo is RGB, 0..255.
    Bases are scaled so that one unit of a coefficient is one standard deviation, and keep
    x, y, z (or R, G, B) of a vertex in consecutive rows. N vertices, F triangles.
    """

    name: str  # for messages and reports
    mean_shape: np.ndarray  # [N, 3] float32
    identity_basis: np.ndarray  # [3N, identities] float32
    expression_basis: np.ndarray  # [3N, expressions] float32
    mean_albedo: np.ndarray  # [N, 3] float32
    albedo_basis: np.ndarray  # [3N, albedos] float32
    triangles: np.ndarray  # [F, 3] int32, counter-clockwise seen from outside
    vertex_triangles: np.ndarray  # [N, 8] int32, the triangles around each vertex, padded with F
    front_vertices: np.ndarray  # [n] int32, vertices of the region of the photometric loss
    front_triangles: np.ndarray  # [f, 3] int32, triangles of that region, over all N vertices
    landmarks: np.ndarray  # [68] int32, vertex of each iBUG landmark
    skin_mask: np.ndarray  # [N] float32, weight of each vertex in the reflectance loss
    expression_names: Tuple[str, ...] = ()  # names of the first expression components, if known

    @property
    def vertex_count(self) -> int:
        """Number of vertices, N."""
        return self.mean_shape.shape[0]

    @property
    def triangle_count(self) -> int:
        """Number of triangles, F."""
        return self.triangles.shape[0]

    @property
    def identity_count(self) -> int:
        """Number of identity components."""
        return self.identity_basis.shape[1]

    @property
    def expression_count(self) -> int:
        """Number of expression components."""
        return self.expression_basis.shape[1]

    @property
    def albedo_count(self) -> int:
        """Number of albedo components."""
        return self.albedo_basis.shape[1]

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change whenever the model's numbers do.

        Arrays of a model do not change in place: those of the last call are not read again.
        """
        arrays = [value for value in self if isinstance(value, np.ndarray)]
        for known, found in _LAST_FINGERPRINT:
            if all(reference() is array for reference, array in zip(known, arrays)):
                return found

        digest = hashlib.sha256()
        for array in arrays:
            digest.update("{}{}".format(array.dtype.str, array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        found = digest.hexdigest()[:16]
        _LAST_FINGERPRINT[:] = [([weakref.ref(array) for array in arrays], found)]
        return found


def neutral_shape(model: FaceModel, identity: np.ndarray) -> np.ndarray:
    """Return the vertices of a face without expression, [N, 3] dm in the file's frame.

    Args:
        model: the face model.
        identity: [identities] coefficients.
    """
    return model.mean_shape + model.identity_basis.dot(identity).reshape(-1, 3)


def read_face_model(path: str, name: Optional[str] = None) -> FaceModel:
    """Read and check a face model.

    Args:
        path: a ``.mat`` file with the fields of ``BFM_model_front.mat``.
        name: name of the model; by default its ``model_name`` field, else the file name.

    Returns:
        A :class:`FaceModel`.

    Raises:
        InputError: the file is missing, unreadable, incomplete or inconsistent.
    """
    fields = read_mat(path)
    missing = [field for field in _FIELDS if field not in fields]
    if missing:
        fields_are = "fields {} are" if len(missing) > 1 else "field {} is"
        raise InputError(
            "{}: not a face model, the {} missing".format(
                path, fields_are.format(", ".join(missing))
            )
        )
    name = name or _text(fields.get("model_name")) or os.path.basename(path)
    try:
        model = _model_from_fields(fields, name)
        _validate(model)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError("{}: not a usable face model: {}".format(path, error)) from None
    return model


def write_face_model(model: FaceModel, path: str) -> None:
    """Write ``model`` in the format of ``BFM_model_front.mat``, atomically.

    Args:
        model: a :class:`FaceModel`.
        path: the ``.mat`` file to write.
    """
    column_of = np.full(model.vertex_count, -1, np.int64)
    column_of[model.front_vertices] = np.arange(len(model.front_vertices))
    fields = {
        "meanshape": model.mean_shape.reshape(1, -1),
        "idBase": model.identity_basis,
        "exBase": model.expression_basis,
        "meantex": model.mean_albedo.reshape(1, -1),
        "texBase": model.albedo_basis,
        "tri": model.triangles + 1,
        "point_buf": model.vertex_triangles + 1,
        "frontmask2_idx": model.front_vertices.reshape(-1, 1) + 1,
        "tri_mask2": (column_of[model.front_triangles] + 1).astype(np.int32),
        "keypoints": model.landmarks.reshape(1, -1) + 1,
        "skinmask": model.skin_mask.reshape(1, -1),
        "model_name": model.name,
        "expression_names": np.array(model.expression_names, dtype=object),
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        write_mat(file, fields)


def vertex_triangle_table(triangles: np.ndarray, vertex_count: int) -> np.ndarray:
    """Return ``point_buf``: the first eight triangles around each vertex.

    Args:
        triangles: [F, 3] vertex indices.
        vertex_count: N.

    Returns:
        [N, 8] int32, padded with F.
    """
    # 1. the corners of all triangles, sorted by vertex
    face_count = len(triangles)
    corner_vertex = np.asarray(triangles).reshape(-1)
    order = np.argsort(corner_vertex, kind="stable")
    sorted_vertex = corner_vertex[order]

    # 2. the position of each corner among those of its vertex
    first = np.searchsorted(sorted_vertex, np.arange(vertex_count))
    slot = np.arange(len(order)) - first[sorted_vertex]
    kept = slot < VERTEX_VALENCE

    table = np.full((vertex_count, VERTEX_VALENCE), face_count, np.int32)
    table[sorted_vertex[kept], slot[kept]] = order[kept] // 3
    return table


def _text(value: Any) -> str:
    return "" if value is None or not np.size(value) else str(np.ravel(value)[0])


def _model_from_fields(fields: Mapping[str, Any], name: str) -> FaceModel:
    """Convert file fields to memory: float32, 0-based, one row per vertex."""

    def reals(field: str) -> np.ndarray:
        values = _numbers(fields, field)
        with np.errstate(over="ignore"):  # infinities are refused by _validate
            return np.ascontiguousarray(values, dtype=np.float32)

    def indices(field: str) -> np.ndarray:
        values = _numbers(fields, field)
        if not np.all((values == np.floor(values)) & (values >= 1) & (values <= _LARGEST_INDEX)):
            raise ValueError("{} must hold whole numbers from 1".format(field))
        return np.ascontiguousarray(values.astype(np.int64) - 1)

    front_vertices = indices("frontmask2_idx").reshape(-1)
    front_columns = indices("tri_mask2")
    _require_range("tri_mask2", front_columns, len(front_vertices))
    names = fields.get("expression_names")
    return FaceModel(
        name=name,
        mean_shape=reals("meanshape").reshape(-1, 3),
        identity_basis=reals("idBase"),
        expression_basis=reals("exBase"),
        mean_albedo=reals("meantex").reshape(-1, 3),
        albedo_basis=reals("texBase"),
        triangles=indices("tri").astype(np.int32),
        vertex_triangles=indices("point_buf").astype(np.int32),
        front_vertices=front_vertices.astype(np.int32),
        front_triangles=front_vertices[front_columns].astype(np.int32),
        landmarks=indices("keypoints").reshape(-1).astype(np.int32),
        skin_mask=reals("skinmask").reshape(-1),
        expression_names=() if names is None else tuple(_text(item) for item in np.ravel(names)),
    )


def _numbers(fields: Mapping[str, Any], field: str) -> np.ndarray:
    values = np.asarray(fields[field])
    if values.dtype.kind not in "iufb":
        raise ValueError("{} must hold real numbers".format(field))
    return values


def check_face_model(model: FaceModel, path: str) -> None:
    """Check the consistency of a face model.

    Args:
        model: a :class:`FaceModel`.
        path: the file or folder to name in the message.

    Raises:
        InputError: a field does not fit the others.
    """
    try:
        _validate(model)
    except ValueError as error:
        raise InputError("{}: not a usable face model: {}".format(path, error)) from None


def _validate(model: FaceModel) -> None:
    """Raise a ValueError naming the first field that does not fit the others."""
    # 1. shapes
    count = model.vertex_count
    shapes = {
        "idBase": (model.identity_basis, (3 * count, None)),
        "exBase": (model.expression_basis, (3 * count, None)),
        "meantex": (model.mean_albedo, (count, 3)),
        "texBase": (model.albedo_basis, (3 * count, None)),
        "tri": (model.triangles, (None, 3)),
        "point_buf": (model.vertex_triangles, (count, VERTEX_VALENCE)),
        "tri_mask2": (model.front_triangles, (None, 3)),
        "keypoints": (model.landmarks, (LANDMARK_COUNT,)),
        "skinmask": (model.skin_mask, (count,)),
    }
    for field, (array, wanted) in shapes.items():
        if not _fits(array, wanted):
            expected = ["any" if length is None else length for length in wanted]
            raise ValueError(
                "{} has shape {}, expected {}".format(field, list(array.shape), expected)
            )

    # 2. numbers
    for field in (
        "mean_shape",
        "identity_basis",
        "expression_basis",
        "mean_albedo",
        "albedo_basis",
        "skin_mask",
    ):
        if not np.all(np.isfinite(getattr(model, field))):
            raise ValueError("{} holds NaN or infinity".format(field))

    # 3. indices
    _require_range("tri", model.triangles, count)
    _require_range("point_buf", model.vertex_triangles, model.triangle_count + 1)
    _require_range("frontmask2_idx", model.front_vertices, count)
    _require_range("keypoints", model.landmarks, count)
    if len(model.expression_names) > model.expression_count:
        raise ValueError("more expression_names than expression components")


def _fits(array: np.ndarray, wanted: Sequence[Optional[int]]) -> bool:
    """Return True if an array is not empty and has the wanted shape (None: any length)."""
    if array.ndim != len(wanted) or not array.size:
        return False
    return all(w in (None, s) for s, w in zip(array.shape, wanted))


def _require_range(field: str, values: np.ndarray, limit: int) -> None:
    if values.size and not (0 <= values.min() and values.max() < limit):
        raise ValueError("{} has indices outside 1..{}".format(field, limit))
