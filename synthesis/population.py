"""Whose faces are drawn: people in photos, of whom a face model's mean need not be the mean."""

import numpy as np

from alignment.five_points import STANDARD_POINTS_3D
from landmark_fitting import five_point_rows, landmark_model

_TOLERANCE = 0.01  # dm, standard deviation of the five points of a typical face: a millimetre


def typical_identity(model):
    """Return the identity around which faces are drawn, [identity] float64, in standard deviations.

    The published alignment's five points are those of the mean of BFM's scans, that is, of people. The
    model's most likely face that has these points, give or take a millimetre, is where its people are:
    near 0 for BFM itself; for the open model, whose mean was drawn by hand, people have eyes 2.5 mm
    closer to each other and noses 3 mm longer.

    Args:
        model: a ``FaceModel``.
    """
    # Where the five points are as a whole is the pose's matter: only their arrangement tells of the person.
    mean, basis, standard = (points - points.mean(axis=0) for points in (
        *map(five_point_rows, landmark_model(model)), STANDARD_POINTS_3D))
    basis = basis[..., :model.identity_basis.shape[1]].reshape(mean.size, -1)
    precision = 1 / _TOLERANCE ** 2
    return np.linalg.solve(precision * basis.T.dot(basis) + np.eye(basis.shape[1]),
                           precision * basis.T.dot((standard - mean).reshape(-1)))
