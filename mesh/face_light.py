"""The light of a photo on each vertex of its face, as far as one may divide by it."""

from typing import Any

import numpy as np

from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.normals import surface_normals
from geometry.spherical_harmonics import irradiance

# Share of the mean light on the front of the face that is assumed at least: where the model expects
# less, it is mostly wrong (hair under the chin, light that is reflected into folds).
_LEAST_LIGHT = 0.55


def light_on_face(reconstruction: Any, model: FaceModel) -> np.ndarray:
    """Return the factors of albedo by which a face is lit, [N, 3] for red, green and blue.

    They are those of the nine functions of light, but not far below their mean.

    Args:
        reconstruction: ``reconstruction.face.Reconstruction``.
        model: its face model.
    """
    coefficients = np.asarray(reconstruction.coefficients, np.float64)[np.newaxis]
    gamma = split_coefficients(coefficients, coefficient_sizes(model)).gamma[0]
    normals = surface_normals(reconstruction.world_shape.astype(np.float64), model.triangles)
    light = irradiance(normals, gamma)
    mean = np.maximum(light[model.front_vertices].mean(axis=0), 0.1)
    return np.maximum(light, _LEAST_LIGHT * mean)
