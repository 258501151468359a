"""The rest of the head around the face of the open face model, in a file beside it.

The whole head has the vertices of the face first, then these; the same coefficients of identity
and expression move all of them.
"""

import os
from typing import Any, Mapping, NamedTuple, Optional

import numpy as np

from face_model.loading import OPEN_MODEL_FILE
from face_model.model import FaceModel, vertex_triangle_table
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.mat_files import read_mat, write_mat
from utils.paths import BFM_DIR

_SUFFIX = "_head"  # of the file's name


class HeadExtension(NamedTuple):
    """The head beyond the face. N vertices of the face, M further ones; lengths in dm."""

    face_fingerprint: str  # of the face model to which it belongs
    mean_shape: np.ndarray  # [M, 3] float32, in the frame of the face model
    identity_basis: np.ndarray  # [3M, identities] float32
    expression_basis: np.ndarray  # [3M, expressions] float32
    triangles: np.ndarray  # [F, 3] int32 over N + M vertices, counter-clockwise seen from outside


def head_path(model_path: str) -> str:
    """Return the path of the head's file beside the file of its face model."""
    stem, extension = os.path.splitext(model_path)
    return stem + _SUFFIX + extension


def write_head(head: HeadExtension, path: str) -> None:
    """Write a :class:`HeadExtension` as a .mat file, atomically."""
    fields = {
        "face_model_fingerprint": head.face_fingerprint,
        "meanshape": head.mean_shape.reshape(1, -1),
        "idBase": head.identity_basis,
        "exBase": head.expression_basis,
        "tri": head.triangles + 1,
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        write_mat(file, fields)


def load_head(model: FaceModel, folder: str = BFM_DIR) -> HeadExtension:
    """Return the head of a face model, as :func:`find_head` does.

    Args:
        model: the face model.
        folder: the data folder with the models.

    Raises:
        InputError: the model has no head, or its file is missing or damaged.
    """
    head = find_head(model, folder)
    if head is None:
        path = _path_in(folder)
        problem = "is not the head of {}".format(model.name)
        if not os.path.isfile(path):
            problem = "is not there"
        raise InputError(
            "--head: {} {}; run 'make face-model', and use --face_model open".format(path, problem)
        )
    return head


def find_head(model: FaceModel, folder: str = BFM_DIR) -> Optional[HeadExtension]:
    """Return the head of a face model; None without a file, or if it is of another model.

    The file belongs to the model whose numbers have the fingerprint that it names.

    Args:
        model: the face model.
        folder: the data folder with the models.

    Raises:
        InputError: the file is damaged.
    """
    path = _path_in(folder)
    if not os.path.isfile(path):
        return None
    try:
        head = _from_fields(read_mat(path))
        if head.face_fingerprint != model.fingerprint():
            return None
        _validate(head, model)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(
            "{}: not a usable head ({}); run 'make face-model'".format(path, error)
        ) from None
    return head


def _from_fields(fields: Mapping[str, Any]) -> HeadExtension:
    return HeadExtension(
        face_fingerprint=str(np.ravel(fields["face_model_fingerprint"])[0]),
        mean_shape=np.asarray(fields["meanshape"], np.float32).reshape(-1, 3),
        identity_basis=np.asarray(fields["idBase"], np.float32),
        expression_basis=np.asarray(fields["exBase"], np.float32),
        triangles=np.asarray(fields["tri"], np.int32) - 1,
    )


def _path_in(folder: str) -> str:
    return head_path(os.path.join(folder, OPEN_MODEL_FILE))


def _validate(head: HeadExtension, model: FaceModel) -> None:
    """Raise a ValueError if a head does not fit its face model."""
    count = len(head.mean_shape)
    shapes = (
        (head.identity_basis, (3 * count, model.identity_count)),
        (head.expression_basis, (3 * count, model.expression_count)),
        (head.triangles, (len(head.triangles), 3)),
    )
    if any(array.shape != shape for array, shape in shapes):
        raise ValueError("its fields do not fit each other")
    if not all(np.isfinite(array).all() for array in head[1:4]):
        raise ValueError("it holds NaN or infinity")
    if head.triangles.min() < 0 or head.triangles.max() >= model.vertex_count + count:
        raise ValueError("tri has indices of vertices that are not there")


def join_head(model: FaceModel, head: HeadExtension) -> FaceModel:
    """Return the face model of the whole head: N + M vertices, those of the face first.

    The skin around the face has one color, that of the plain skin of the face.

    Args:
        model: the face model.
        head: its head.
    """
    count = len(head.mean_shape)
    plain = model.skin_mask > 0.5
    skin = model.mean_albedo[plain].mean(axis=0)
    basis = model.albedo_basis.reshape(model.vertex_count, 3, -1)[plain].mean(axis=0)

    def join(face: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return np.concatenate([face, rest]).astype(face.dtype)

    triangles = join(model.triangles, head.triangles)
    return model._replace(
        mean_shape=join(model.mean_shape, head.mean_shape),
        identity_basis=join(model.identity_basis, head.identity_basis),
        expression_basis=join(model.expression_basis, head.expression_basis),
        mean_albedo=join(model.mean_albedo, np.tile(skin, (count, 1))),
        albedo_basis=join(model.albedo_basis, np.tile(basis, (count, 1))),
        triangles=triangles,
        vertex_triangles=vertex_triangle_table(triangles, model.vertex_count + count),
        skin_mask=join(model.skin_mask, np.zeros(count)),
    )
