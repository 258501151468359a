"""A reconstructed face to animate: upright, in meters, with named morph targets."""

from typing import Any, NamedTuple, Tuple

import numpy as np

from face_model import FaceModel
from face_model.coefficients import Coefficients, coefficient_sizes, split_coefficients
from geometry.rotation import rotation_with_derivatives
from mesh.eyelids import close_lids

METERS_PER_DM = 0.1
# The last target: what the named ones do not hold of the photo's expression.
REMAINDER = "photoExpression"


class FaceRig(NamedTuple):
    """An upright face at rest and its morph targets."""

    vertices: np.ndarray  # [N, 3] meters, y up, looking along +z, without any expression
    # (name, displacements [N, 3] meters at weight 1, weight 0..1 in the photo) of each
    morph_targets: Tuple[Tuple[str, np.ndarray, float], ...]


def make_rig(reconstruction: Any, model: FaceModel) -> FaceRig:
    """Take pose and expression out of a reconstruction, and return the expression as targets.

    Every named expression component is a target; blinks are corrected to close this person's lids
    (``mesh.eyelids``). Programs clamp weights to 0..1, which the coefficients of a photo may leave:
    what is lost is one more target, :data:`REMAINDER`, of weight 1, together with components that
    have no name. The vertices plus the weighted targets are the face of the photo.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
    """
    # 1. the face at rest
    coefficients = _parts(reconstruction, model).expression[0]
    displacements = model.expression_basis.T.reshape(-1, model.vertex_count, 3)
    expression = np.tensordot(coefficients, displacements, axes=1)
    neutral = upright_shape(reconstruction, model) - expression

    # 2. the named targets, and the remainder
    remainder = expression
    targets = []
    for name, coefficient, displacement in zip(model.expression_names, coefficients, displacements):
        target = close_lids(model, name, neutral, displacement)
        weight = _clamped_weight(coefficient, displacement, target)
        remainder = remainder - weight * target
        targets.append((name, target * METERS_PER_DM, weight))
    targets.append((REMAINDER, remainder * METERS_PER_DM, 1.0))
    return FaceRig(neutral * METERS_PER_DM, tuple(targets))


def _clamped_weight(coefficient: float, displacement: np.ndarray, target: np.ndarray) -> float:
    """Return the weight 0..1 at which a target comes closest to a multiple of a displacement.

    Args:
        coefficient: the multiple.
        displacement: [N, 3].
        target: [N, 3]; mostly the displacement itself.
    """
    if target is not displacement:
        coefficient *= np.vdot(displacement, target) / max(np.vdot(target, target), 1e-12)
    return float(np.clip(coefficient, 0, 1))


def upright_shape(reconstruction: Any, model: FaceModel) -> np.ndarray:
    """Return the vertices with expression and without pose, [N, 3] dm, looking along +z.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
    """
    parts = _parts(reconstruction, model)
    rotation = rotation_with_derivatives(parts.angles[0])[0]
    return (reconstruction.world_shape - parts.translation[0]).dot(rotation.T)


def _parts(reconstruction: Any, model: FaceModel) -> Coefficients:
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    return split_coefficients(coefficients, coefficient_sizes(model))
