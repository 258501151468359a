"""The linear model of landmarks and other vertices: their mean and their basis."""

from typing import Tuple

import numpy as np

from face_model.model import FaceModel


def landmark_model(model: FaceModel) -> Tuple[np.ndarray, np.ndarray]:
    """Return mean and basis of the landmarks, centered as in the decoder.

    Args:
        model: a ``FaceModel`` with K identity and expression components.

    Returns:
        mean [68, 3] and basis [68, 3, K], identity components first; float64, dm.
    """
    return vertex_model(model, model.landmarks)


def vertex_model(model: FaceModel, vertices: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return mean and basis of some vertices, centered as in the decoder.

    Args:
        model: a ``FaceModel`` with K identity and expression components.
        vertices: [N] int.

    Returns:
        mean [N, 3] and basis [N, 3, K], identity components first; float64, dm.
    """
    centroid = model.mean_shape.mean(axis=0, dtype=np.float64)
    rows = (3 * np.asarray(vertices)[:, np.newaxis] + np.arange(3)).reshape(-1)
    basis = np.concatenate([model.identity_basis[rows], model.expression_basis[rows]], axis=1)
    mean = model.mean_shape[vertices].astype(np.float64) - centroid
    return mean, basis.astype(np.float64).reshape(len(vertices), 3, -1)
