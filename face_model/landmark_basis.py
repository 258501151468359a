"""The linear model of the 68 landmark vertices: their mean and their basis."""

from typing import Tuple

import numpy as np

from face_model.model import FaceModel
from geometry.landmark_layout import LANDMARK_COUNT


def landmark_model(model: FaceModel) -> Tuple[np.ndarray, np.ndarray]:
    """Return mean and basis of the landmarks, centered as in the decoder.

    Args:
        model: a ``FaceModel`` with K identity and expression components.

    Returns:
        mean [68, 3] and basis [68, 3, K], identity components first; float64, dm.
    """
    centroid = model.mean_shape.mean(axis=0, dtype=np.float64)
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    rows = (3 * model.landmarks[:, np.newaxis] + np.arange(3)).reshape(-1)
    mean = model.mean_shape[model.landmarks].astype(np.float64) - centroid
    return mean, basis[rows].astype(np.float64).reshape(LANDMARK_COUNT, 3, -1)
