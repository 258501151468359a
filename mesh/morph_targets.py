"""A reconstructed face apart from its photo: upright, in metres, with the actions it can be moved by."""

from typing import NamedTuple, Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from face_model.coefficients import (
    ARKIT_BLENDSHAPE_COUNT,
    coefficient_sizes,
    split_coefficients,
)

METRES_PER_UNIT = 0.1  # the face model's unit is the decimetre


class Avatar(NamedTuple):
    """An upright face and its actions."""

    vertices: np.ndarray  # [N, 3] metres, y up, looking along +z, at rest: all actions 0
    actions: Tuple  # of (name, displacements [N, 3] metres at weight 1, weight in the photo)


def make_avatar(reconstruction, model):
    """Take the pose, and the actions that have names, out of a reconstruction.

    Args:
        reconstruction: a ``Reconstruction``.
        model: the ``FaceModel`` it was made with.

    Returns:
        An :class:`Avatar`; without named actions (BFM09) the expression stays in the vertices.
    """
    names = model.expression_names[:ARKIT_BLENDSHAPE_COUNT]
    weights = _parts(reconstruction, model).expression[0, :len(names)]
    displacements = model.expression_basis[:, :len(names)].T.reshape(len(names), model.vertex_count, 3)
    vertices = upright_shape(reconstruction, model) - np.tensordot(weights, displacements, axes=1)
    return Avatar(vertices * METRES_PER_UNIT,
                  tuple(zip(names, displacements * METRES_PER_UNIT, weights.tolist())))


def upright_shape(reconstruction, model):
    """Return the vertices without their pose, with their expression: [N, 3] dm, looking along +z."""
    parts = _parts(reconstruction, model)
    # world = shape (Rz Ry Rx)^T + t, so this undoes it.
    turn = Rotation.from_euler("xyz", parts.angles[0]).as_matrix()
    return (reconstruction.world_shape - parts.translation[0]).dot(turn)


def _parts(reconstruction, model):
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    return split_coefficients(coefficients, coefficient_sizes(model))
