"""Identity: principal components of thousands of random heads."""

from typing import NamedTuple, Tuple

import numpy as np
import scipy.linalg

from face_model.open_model.phenotypes import TargetSet, sample_weights
from geometry.similarity import fit_similarity

_BATCH = 250  # heads at a time, to bound the memory


class IdentityModel(NamedTuple):
    """A linear model of the base mesh's vertices. V vertices, K components."""

    mean: np.ndarray  # [V, 3] float64
    basis: np.ndarray  # [3V, K] float32, columns scaled to one standard deviation
    explained: float  # share of the (weighted) variance
    residual: float  # dm, root mean square residual over heads and visible vertices
    scores: np.ndarray  # [heads, K] coefficients of the heads, mean 0 and deviation 1


def make_heads(
    neutral: np.ndarray,
    base: np.ndarray,
    targets: TargetSet,
    weights: np.ndarray,
    align: np.ndarray,
) -> np.ndarray:
    """Return heads [count, V, 3] float32, aligned to the neutral one by similarity transforms.

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
        rows = slice(start, start + _BATCH)
        batch = base + weights[rows].astype(np.float32).dot(flat).reshape((-1,) + base.shape)
        fit = fit_similarity(batch[:, used], neutral[used], weights=align[used])
        heads[rows] = fit.apply(batch)
    return heads


def build_identity_model(
    neutral: np.ndarray,
    base: np.ndarray,
    targets: TargetSet,
    align: np.ndarray,
    importance: np.ndarray,
    count: int,
    components: int,
    seed: int,
) -> IdentityModel:
    """Sample heads and return their :class:`IdentityModel`.

    Args:
        neutral: [V, 3] head to align to.
        base: [V, 3] the shape that targets displace.
        targets: a ``TargetSet``.
        align: [V] weight of each vertex in the alignment.
        importance: [V] weight of each vertex in the variance.
        count: number of heads.
        components: K.
        seed: seed of the random heads.
    """
    # 1. random heads, as deviations from their mean
    random = np.random.RandomState(seed)
    heads = make_heads(neutral, base, targets, sample_weights(targets, count, random), align)
    mean = heads.mean(axis=0, dtype=np.float64)
    deviations = (heads - mean.astype(np.float32)).reshape(count, -1)

    # 2. eigenvectors of the weighted covariance, from those of the smaller Gram matrix
    weight = np.repeat(np.sqrt(importance / importance.sum()), 3).astype(np.float32)
    weighted = deviations * weight
    gram = weighted.dot(weighted.T).astype(np.float64) / count
    largest = (count - components, count - 1)
    if _has_subset_by_index():
        values, vectors = scipy.linalg.eigh(gram, subset_by_index=largest)
    else:
        values, vectors = scipy.linalg.eigh(gram, eigvals=largest)
    vectors = vectors[:, ::-1]

    # 3. components of unit variance over the sample
    scores = _fix_signs(vectors) * np.sqrt(count)
    basis = deviations.T.dot(scores.astype(np.float32)) / count
    total = np.trace(gram)
    explained, residual = values.sum() / total, np.sqrt(total - values.sum())
    return IdentityModel(mean, basis, float(explained), float(residual), scores)


def extend_identity(
    neutral: np.ndarray,
    base: np.ndarray,
    targets: TargetSet,
    align: np.ndarray,
    scores: np.ndarray,
    seed: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the linear model of more vertices of the heads of an :class:`IdentityModel`.

    Args:
        neutral: [V, 3] head to align to.
        base: [V, 3] the shape that targets displace.
        targets: a ``TargetSet``.
        align: [V] weight of each vertex in the alignment, that of the model or 0.
        scores: ``scores`` of the model.
        seed: seed of the model.

    Returns:
        mean [V, 3] float64, and basis [3V, K] float32.
    """
    count, random = len(scores), np.random.RandomState(seed)
    heads = make_heads(neutral, base, targets, sample_weights(targets, count, random), align)
    mean = heads.mean(axis=0, dtype=np.float64)
    deviations = (heads - mean.astype(np.float32)).reshape(count, -1)
    return mean, deviations.T.dot(scores.astype(np.float32)) / count


def _has_subset_by_index() -> bool:
    return "subset_by_index" in scipy.linalg.eigh.__code__.co_varnames


def _fix_signs(vectors: np.ndarray) -> np.ndarray:
    """Make the sum of cubes of each eigenvector positive, so that the signs of builds agree."""
    return vectors * np.where((vectors**3).sum(axis=0) < 0, -1.0, 1.0)
