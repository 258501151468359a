"""A reconstructed face as FLAME's mesh."""

from typing import Any, NamedTuple, Optional

import numpy as np

from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.flame import Flame, FlameMap, map_flame
from geometry.rotation import rotation_with_derivatives
from mesh.whole_head import WholeHead, extend_face

SUFFIX = "_flame"  # of the names of its files


class FlameMesh(NamedTuple):
    """FLAME's mesh on a face model."""

    map: FlameMap
    head: Optional[WholeHead]  # of the face model, if it has one


def make_flame_mesh(flame: Flame, model: FaceModel, head: Optional[WholeHead]) -> FlameMesh:
    """Return the :class:`FlameMesh` of a face model.

    Args:
        flame: FLAME's mesh.
        model: the face model.
        head: its head, or None.
    """
    return FlameMesh(map_flame(flame, head.model if head else model), head)


def in_flame_topology(reconstruction: Any, model: FaceModel, flame: FlameMesh) -> Any:
    """Return the reconstruction with FLAME's vertices and their colors, named ``NAME_flame``.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``, of a refined mesh too.
        model: its face model.
        flame: :func:`make_flame_mesh` of that model.
    """
    whole = extend_face(reconstruction, model, flame.head) if flame.head else reconstruction
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    angles = split_coefficients(coefficients, coefficient_sizes(model)).angles[0]
    offsets = flame.map.offsets.dot(rotation_with_derivatives(angles)[0])
    weights = flame.map.weights
    return reconstruction._replace(
        face=reconstruction.face._replace(name=reconstruction.face.name + SUFFIX),
        world_shape=weights.dot(whole.world_shape) + offsets,
        colors=weights.dot(whole.colors),
    )
