"""Identity: principal components of thousands of random heads."""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from face_model.open_model.alignment import similarity, transform
from face_model.open_model.phenotypes import random_weights

_BATCH = 250  # heads at a time: bounds the memory


class IdentityModel(NamedTuple):
    """A linear model of the base mesh's vertices. V vertices, K components."""

    mean: np.ndarray  # [V, 3] float64
    basis: np.ndarray  # [3V, K] float32, columns scaled to one standard deviation
    explained: float  # share of the (weighted) variance
    residual: float  # root mean square over heads and visible vertices of what is left, dm


def sample_heads(neutral, base, targets, weights, align):
    """Return heads [count, V, 3] float32, aligned to the neutral one without rotation, shift and size.

    Args:
        neutral: [V, 3] head to align to.
        base: [V, 3] the shape that targets displace.
        targets: a ``TargetSet``.
        weights: [count, T].
        align: [V] weight of each vertex in the alignment.
    """
    count = len(weights)
    flat = targets.displacements.reshape(len(targets.displacements), -1)
    heads = np.empty((count,) + neutral.shape, np.float32)
    used = np.flatnonzero(align)
    for start in range(0, count, _BATCH):
        batch = base + weights[start:start + _BATCH].astype(np.float32).dot(flat).reshape((-1,) + base.shape)
        heads[start:start + _BATCH] = transform(batch, *similarity(batch[:, used], neutral[used], align[used]))
    return heads


def identity_model(neutral, base, targets, align, importance, count, components, seed):
    """Draw heads and return their :class:`IdentityModel`.

    Args:
        neutral, base, targets, align: as for :func:`sample_heads`.
        importance: [V] weight of each vertex in the variance.
        count: number of heads.
        components: K.
        seed: of the random heads.
    """
    random = np.random.RandomState(seed)
    heads = sample_heads(neutral, base, targets, random_weights(targets, count, random), align)
    mean = heads.mean(axis=0, dtype=np.float64)
    deviations = (heads - mean.astype(np.float32)).reshape(count, -1)
    weight = np.repeat(np.sqrt(importance / importance.sum()), 3).astype(np.float32)
    # Fewer heads than coordinates: the eigenvectors of the small Gram matrix give those of the covariance.
    weighted = deviations * weight
    gram = weighted.dot(weighted.T).astype(np.float64) / count
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=(count - components, count - 1)) \
        if _has_subset_by_index() else scipy.linalg.eigh(gram, eigvals=(count - components, count - 1))
    vectors = vectors[:, ::-1]
    scores = _fix_signs(vectors) * np.sqrt(count)  # unit variance over the sample
    basis = deviations.T.dot(scores.astype(np.float32)) / count
    total = np.trace(gram)
    return IdentityModel(mean, basis, float(values.sum() / total), float(np.sqrt(total - values.sum())))


def _has_subset_by_index():
    return "subset_by_index" in scipy.linalg.eigh.__code__.co_varnames


def _fix_signs(vectors):
    """Eigenvectors come with either sign; make the sum of cubes positive, so that builds agree."""
    return vectors * np.where((vectors ** 3).sum(axis=0) < 0, -1.0, 1.0)
