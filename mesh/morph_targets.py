"""A reconstructed face to animate: upright, in meters, with named morph targets."""

from typing import Any, NamedTuple, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from face_model import FaceModel
from face_model.coefficients import (
    ARKIT_BLENDSHAPE_COUNT,
    Coefficients,
    coefficient_sizes,
    split_coefficients,
)

METERS_PER_DM = 0.1


class FaceRig(NamedTuple):
    """An upright face and its morph targets."""

    vertices: np.ndarray  # [N, 3] meters, y up, looking along +z, all morph targets at 0
    # (name, displacements [N, 3] meters at weight 1, weight in the photo) of each
    morph_targets: Tuple[Tuple[str, np.ndarray, float], ...]


def make_rig(reconstruction: Any, model: FaceModel) -> FaceRig:
    """Take the pose and the named expression components out of a reconstruction.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.

    Returns:
        A :class:`FaceRig`; without named components (BFM09) the expression stays in the vertices.
    """
    names = model.expression_names[:ARKIT_BLENDSHAPE_COUNT]
    weights = _parts(reconstruction, model).expression[0, : len(names)]
    displacements = model.expression_basis[:, : len(names)].T.reshape(
        len(names), model.vertex_count, 3
    )
    vertices = upright_shape(reconstruction, model) - np.tensordot(weights, displacements, axes=1)
    targets = tuple(zip(names, displacements * METERS_PER_DM, weights.tolist()))
    return FaceRig(vertices * METERS_PER_DM, targets)


def upright_shape(reconstruction: Any, model: FaceModel) -> np.ndarray:
    """Return the vertices with expression and without pose, [N, 3] dm, looking along +z.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
    """
    parts = _parts(reconstruction, model)
    # inverse of world = shape (Rz Ry Rx)^T + t
    turn = Rotation.from_euler("xyz", parts.angles[0]).as_matrix()
    return (reconstruction.world_shape - parts.translation[0]).dot(turn)


def _parts(reconstruction: Any, model: FaceModel) -> Coefficients:
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    return split_coefficients(coefficients, coefficient_sizes(model))
