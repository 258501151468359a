"""Rigid motions and similarities between two sets of points."""

from typing import Any, NamedTuple, Optional

import numpy as np


class Similarity(NamedTuple):
    """The map of row vectors ``scale * points @ rotation + translation``, or a batch of them."""

    scale: Any  # a number, or [...] of a batch
    rotation: np.ndarray  # [..., 3, 3], without reflection
    translation: np.ndarray  # [..., 3]

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Return the images of points [..., n, 3]."""
        scaled = np.asarray(self.scale)[..., np.newaxis, np.newaxis] * np.matmul(
            points, self.rotation
        )
        return scaled + self.translation[..., np.newaxis, :]

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Return the points [..., n, 3] whose images are given."""
        moved = points - self.translation[..., np.newaxis, :]
        turned = np.matmul(moved, np.swapaxes(self.rotation, -1, -2))
        return turned / np.asarray(self.scale)[..., np.newaxis, np.newaxis]


def fit_similarity(
    points: np.ndarray,
    targets: np.ndarray,
    with_scale: bool = True,
    weights: Optional[np.ndarray] = None,
) -> Similarity:
    """Return the motion that brings points closest to their targets, in the least-squares sense.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (PAMI 1991).

    Args:
        points: [..., n, 3], n at least 3; leading axes are a batch.
        targets: [n, 3].
        with_scale: False keeps the scale at 1.
        weights: [n] of the points, or None for equal ones.
    """
    # 1. weighted means and covariance
    if weights is None:
        share = np.full(len(targets), 1.0 / len(targets))
    else:
        share = weights / np.sum(weights)
    center = np.einsum("n,...nk->...k", share, points)
    goal = share.dot(targets)
    centered = points - center[..., np.newaxis, :]
    weighted = (targets - goal) * share[:, np.newaxis]
    covariance = np.einsum("...nj,nk->...jk", centered, weighted)

    # 2. the nearest rotation, never a reflection
    left, singular, right = np.linalg.svd(covariance)
    signs = np.ones(singular.shape)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = np.matmul(left * signs[..., np.newaxis, :], right)

    # 3. scale and translation
    scale = np.ones(singular.shape[:-1])
    if with_scale:
        spread = np.einsum("n,...nk->...", share, centered**2)
        scale = (singular * signs).sum(axis=-1) / spread
    turned = np.einsum("...j,...jk->...k", center, rotation)
    return Similarity(scale, rotation, goal - scale[..., np.newaxis] * turned)
