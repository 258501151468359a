"""The 68 landmark vertices of a face model alone: their mean and their bases."""

import numpy as np


def landmark_model(model):
    """Return the mean [68, 3] and the basis [68, 3, K] of the landmarks, centred as the decoder does.

    Args:
        model: a ``FaceModel``; K counts its identity and expression components, in this order.
    """
    centre = model.mean_shape.mean(axis=0, dtype=np.float64)
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    rows = (3 * model.landmarks[:, np.newaxis] + np.arange(3)).reshape(-1)
    mean = model.mean_shape[model.landmarks].astype(np.float64) - centre
    return mean, basis[rows].astype(np.float64).reshape(68, 3, -1)
