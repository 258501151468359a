"""Rigid and similarity alignment of point sets, and BFM's frame.

Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
"""

import numpy as np


def similarity(source, target, weights=None):
    """Return (scale, rotation, translation) with target ~ scale * source R + t, in least squares.

    Args:
        source: [..., n, 3]; leading axes are a batch.
        target: [n, 3].
        weights: [n] or None for equal ones.

    Returns:
        scale [...], rotation [..., 3, 3], translation [..., 3]; they act on row vectors.
    """
    share = np.full(len(target), 1.0 / len(target)) if weights is None else weights / np.sum(weights)
    source_mean = np.einsum("n,...nk->...k", share, source)
    target_mean = share.dot(target)
    centred = source - source_mean[..., None, :]
    covariance = np.einsum("...nj,nk->...jk", centred, (target - target_mean) * share[:, None])
    left, singular, right = np.linalg.svd(covariance)
    signs = np.ones(singular.shape)
    signs[..., -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = np.matmul(left * signs[..., None, :], right)
    spread = np.einsum("n,...nk->...", share, centred ** 2)
    scale = (singular * signs).sum(axis=-1) / spread
    translation = target_mean - scale[..., None] * np.einsum("...j,...jk->...k", source_mean, rotation)
    return scale, rotation, translation


def transform(points, scale, rotation, translation):
    """Apply what :func:`similarity` returned to [..., n, 3] points."""
    return np.asarray(scale)[..., None, None] * np.matmul(points, rotation) + translation[..., None, :]
