"""Rigid motions and similarities between two sets of points."""

from typing import NamedTuple

import numpy as np


class Similarity(NamedTuple):
    """The map of row vectors ``scale * points @ rotation + translation``."""

    scale: float
    rotation: np.ndarray  # [3, 3], without reflection
    translation: np.ndarray  # [3]

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Return the image of points [..., 3]."""
        return self.scale * np.asarray(points).dot(self.rotation) + self.translation

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Return the points [..., 3] whose images are given."""
        return (np.asarray(points) - self.translation).dot(self.rotation.T) / self.scale


def fit_similarity(points: np.ndarray, targets: np.ndarray, with_scale: bool) -> Similarity:
    """Return the motion that brings points closest to their targets, in the least-squares sense.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (PAMI 1991).

    Args:
        points: [N, 3], N at least 3.
        targets: [N, 3].
        with_scale: False keeps the scale at 1.
    """
    # 1. the rotation, from the singular vectors of the covariance
    center, goal = points.mean(axis=0), targets.mean(axis=0)
    u, singular_values, vt = np.linalg.svd((points - center).T.dot(targets - goal))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u.dot(vt)))])
    rotation = (u * flip).dot(vt)

    # 2. scale and translation
    scale = 1.0
    if with_scale:
        scale = float((singular_values * flip).sum() / np.sum((points - center) ** 2))
    return Similarity(scale, rotation, goal - scale * center.dot(rotation))
