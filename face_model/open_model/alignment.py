"""Similarity alignment of point sets.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
PAMI 1991.
"""

from typing import Optional, Tuple

import numpy as np


def similarity(
    source: np.ndarray, target: np.ndarray, weights: Optional[np.ndarray] = None
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (scale, rotation, translation) with target ~ scale * source R + t, in least squares.

    Args:
        source: [..., n, 3]; leading axes are a batch.
        target: [n, 3].
        weights: [n] or None for equal ones.

    Returns:
        scale [...], rotation [..., 3, 3], translation [..., 3]; they act on row vectors.
    """
    # 1. weighted means and covariance
    if weights is None:
        share = np.full(len(target), 1.0 / len(target))
    else:
        share = weights / np.sum(weights)
    source_mean = np.einsum("n,...nk->...k", share, source)
    target_mean = share.dot(target)
    centered = source - source_mean[..., None, :]
    covariance = np.einsum("...nj,nk->...jk", centered, (target - target_mean) * share[:, None])

    # 2. the nearest rotation, never a reflection
    left, singular, right = np.linalg.svd(covariance)
    signs = np.ones(singular.shape)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = np.matmul(left * signs[..., None, :], right)

    # 3. scale and translation
    spread = np.einsum("n,...nk->...", share, centered**2)
    scale = (singular * signs).sum(axis=-1) / spread
    rotated_mean = np.einsum("...j,...jk->...k", source_mean, rotation)
    translation = target_mean - scale[..., None] * rotated_mean
    return scale, rotation, translation


def transform(
    points: np.ndarray, scale: np.ndarray, rotation: np.ndarray, translation: np.ndarray
) -> np.ndarray:
    """Apply the result of :func:`similarity` to [..., n, 3] points."""
    scaled = np.asarray(scale)[..., None, None] * np.matmul(points, rotation)
    return scaled + translation[..., None, :]
