"""The same face with another expression."""

from typing import Any

import numpy as np

from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.normals import surface_normals
from geometry.rotation import rotation_with_derivatives
from geometry.spherical_harmonics import irradiance


def expression_of(reconstruction: Any, model: FaceModel) -> np.ndarray:
    """Return the expression coefficients of a face, [expressions] float64.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
    """
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    return split_coefficients(coefficients, coefficient_sizes(model)).expression[0]


def replace_expression(
    reconstruction: Any, model: FaceModel, expression: np.ndarray, suffix: str
) -> Any:
    """Return a face with another expression, in the same pose and light.

    Its coefficients, mesh and colors are changed; its pictures and landmarks stay those of the
    photo.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``, of a refined mesh too.
        model: its face model.
        expression: [expressions] coefficients.
        suffix: appended to the face's name.
    """
    # 1. coefficients
    coefficients = np.array(reconstruction.coefficients, np.float64)
    parts = split_coefficients(coefficients[np.newaxis], coefficient_sizes(model))  # views
    change = expression - parts.expression[0]
    parts.expression[0] = expression

    # 2. vertices, and colors by the light on the old and the new surface
    moved = model.expression_basis.dot(change).reshape(-1, 3)
    world = reconstruction.world_shape + moved.dot(rotation_with_derivatives(parts.angles[0])[0])
    before, after = (
        irradiance(surface_normals(shape, model.triangles), parts.gamma[0])
        for shape in (reconstruction.world_shape.astype(np.float64), world)
    )
    colors = reconstruction.colors * np.where(before > 0, after / np.maximum(before, 1e-6), 1)

    face = reconstruction.face._replace(name=reconstruction.face.name + suffix)
    return reconstruction._replace(
        face=face,
        coefficients=coefficients,
        world_shape=world.astype(np.float32),
        colors=np.clip(colors, 0, 255).astype(np.float32),
    )
