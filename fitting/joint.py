"""The objective of all photos of one person: identity and albedo once, the rest photo by photo.

Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
section 4, aggregate the shapes of a person's photos; here all photos are fitted at once. Their
losses add up, but the priors of identity and albedo count once, and so do the landmarks: those of
one person err alike in all photos, so that more of them tell no more of the shape. Then each photo
gets pose, expression and light by its own landmarks, with the person held. The photos pass through
the graph in batches, whose gradients of the shared coefficients are added: memory does not grow
with them.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from face_model.coefficients import Coefficients, coefficient_sizes
from face_model.model import FaceModel
from fitting.descent import damped, hold
from fitting.robustness import robust_scale_at
from utils.workers import one_blas_thread

PHOTOS_AT_ONCE = 8  # of one person that pass through the graph together
# What photos share takes longer to settle.
_PERSON_PACE = 3


class PersonSteps(NamedTuple):
    """Numbers of steps of fitting for photos of one person."""

    together: int  # of all photos
    own: int  # of what each photo has for itself, with the person held


def person_steps(steps: int, photos: int) -> PersonSteps:
    """Return the numbers of steps of fitting for photos of one person.

    Args:
        steps: those of a single photo.
        photos: their number.
    """
    return PersonSteps(steps, 0) if photos == 1 else PersonSteps(_PERSON_PACE * steps, steps)


def shared_columns(model: FaceModel) -> np.ndarray:
    """Return which coefficients all photos of a person share, [257] bool: identity and albedo."""
    sizes = coefficient_sizes(model)
    shared = Coefficients(*(np.zeros(size, bool) for size in sizes))
    shared.identity[:] = True
    shared.albedo[:] = True
    return np.concatenate(shared)


def share_mean(
    coefficients: np.ndarray, model: FaceModel, confidence: Optional[np.ndarray] = None
) -> np.ndarray:
    """Return coefficients of a person's photos with the mean identity and albedo in each.

    Deng et al., section 4: identity = sum_j c_j * identity_j / sum_j c_j, element by element, over
    the photos j.

    Args:
        coefficients: [B, 257] of the photos.
        model: the ``FaceModel``.
        confidence: [B, identities] positive confidences c; None for equal ones.
    """
    result = np.array(coefficients, np.float32)
    shared = shared_columns(model)
    result[:, shared] = coefficients[:, shared].mean(axis=0)
    if confidence is not None:
        identity = slice(0, model.identity_count)
        result[:, identity] = np.average(coefficients[:, identity], axis=0, weights=confidence)
    return result


class PersonObjective:
    """The losses of all photos of one person, as a function of coefficients that they share.

    Identity and albedo are the same in each row of the coefficients; so are, therefore, their
    gradients: that of the sum of all losses.

    Args:
        batches: ``fitting.objective.PhotoObjective`` of :data:`PHOTOS_AT_ONCE` photos each, the
            last one of the rest; each with the share of the common terms that its photos have.
        model: the ``FaceModel``.
    """

    def __init__(self, batches: Sequence[Any], model: FaceModel) -> None:
        self._batches = batches
        self._shared = shared_columns(model)

    def losses(self, coefficients: np.ndarray, robust_scale: float) -> np.ndarray:
        """Return the loss of each photo, [B]; see ``PhotoObjective.losses``."""
        parts = self._split(coefficients)
        return np.concatenate(
            [batch.losses(part, robust_scale) for batch, part in zip(self._batches, parts)]
        )

    def differentiate(
        self, coefficients: np.ndarray, robust_scale: float
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Return the loss of each photo, [B], and the gradient of their sum, [B, 257].

        Args:
            coefficients: [B, 257], with equal identity and albedo in each row.
            robust_scale: see ``PhotoObjective.losses``.
        """
        pairs = [
            batch.differentiate(part, robust_scale)
            for batch, part in zip(self._batches, self._split(coefficients))
        ]
        losses, gradients = (np.concatenate(parts) for parts in zip(*pairs))
        gradients[:, self._shared] = gradients[:, self._shared].sum(axis=0)
        return losses, gradients

    def curvature(self, coefficients: np.ndarray, robust_scale: float) -> np.ndarray:
        """Return the matrix of each photo, [B, 257, 257]; see ``PhotoObjective.curvature``."""
        return np.concatenate(
            [
                batch.curvature(part, robust_scale)
                for batch, part in zip(self._batches, self._split(coefficients))
            ]
        )

    def _split(self, coefficients: np.ndarray) -> List[np.ndarray]:
        """Return the rows of each batch."""
        starts = range(0, len(coefficients), PHOTOS_AT_ONCE)
        return [coefficients[start : start + PHOTOS_AT_ONCE] for start in starts]


class OnePerson:
    """The problem of fitting all photos of a person, for ``fitting.descent.minimize``.

    Args:
        person: the :class:`PersonObjective` of B photos.
        model: the ``FaceModel``.
    """

    def __init__(self, person: PersonObjective, model: FaceModel) -> None:
        self._person = person
        self._shared = shared_columns(model)

    def differentiate(self, x: np.ndarray, fraction: float) -> Tuple[np.ndarray, np.ndarray]:
        """Return the losses [B] and the gradient [B, 257] of their sum at a fraction of steps."""
        return self._person.differentiate(x, robust_scale_at(fraction))

    def total(self, losses: np.ndarray) -> np.ndarray:
        """Return the sum of all losses, [1]."""
        return losses.sum(keepdims=True)

    def dot(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the inner product, [1, 1], in which shared coefficients count once."""
        products = a * b
        own = products[:, ~self._shared].sum()
        return np.array([[own + products[0, self._shared].sum()]])

    def curvature(self, x: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return the function that divides gradients by the curvature at coefficients [B, 257].

        What the photos have for themselves is eliminated first (Schur's complement), so that the
        largest system has the size of the shared part, however many photos there are.
        """
        shared, own = np.flatnonzero(self._shared), np.flatnonzero(~self._shared)
        matrices = damped(self._person.curvature(x, robust_scale_at(0.0)))

        def solve(gradient: np.ndarray, free: np.ndarray) -> np.ndarray:
            gradient = gradient * free
            with one_blas_thread():
                # 1. the blocks: own by own, own by shared, and shared by shared of all photos
                held = hold(matrices, free)
                blocks = held[:, own[:, np.newaxis], own]
                mixed = held[:, own[:, np.newaxis], shared]
                both = held[:, shared[:, np.newaxis], shared].sum(axis=0)

                # 2. the shared part without the own ones, then these
                right = np.concatenate([mixed, gradient[:, own, np.newaxis]], axis=2)
                reduced = np.linalg.solve(blocks, right)
                across = np.matmul(mixed.transpose(0, 2, 1), reduced).sum(axis=0)
                step = np.linalg.solve(both - across[:, :-1], gradient[0, shared] - across[:, -1])
                result = np.empty_like(gradient)
                result[:, shared] = step
                result[:, own] = reduced[..., -1] - reduced[..., :-1].dot(step)
            return result

        return solve
