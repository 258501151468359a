"""Minimization within bounds by limited-memory BFGS, from a known approximation of the curvature.

Nocedal & Wright, "Numerical Optimization" (2nd edition, 2006), algorithm 7.4, with Gauss and
Newton's matrix, renewed at times, in the place of a multiple of the identity matrix. Steps of
several problems are made at once, because the rendering of a batch costs less than that of its
photos one by one; the problems stay independent.
"""

from typing import Any, Callable, List, NamedTuple, Optional, Tuple

import numpy as np

_MEMORY = 8  # last steps that are remembered
# Steps with one matrix of curvature. Remembered steps stay: without them, flat directions of the
# shape start anew, and faces of known shape come out worse, at a lower loss.
_ROUND = 12
# A step is too long if the loss rises faster at its end than it falls at its start; the next one is
# shorter. After a good step they grow.
_SHORTER, _LONGER = 0.6, 1.3
# Relative rise of the loss that is accepted. The loss jumps where an outline moves over pixels,
# which the gradient does not know: a descent that allows no rise stops far from its end.
_HIGHEST_RISE = 1.0
# Least curvature along a remembered step, relative to the squared change of the gradient.
_LEAST_ALONG = 1e-10

# Of the diagonal of a matrix: where it is too flat, steps are shorter.
_DAMPING, _LEAST_CURVATURE = 0.25, 1e-7


class Result(NamedTuple):
    """The end of a minimization."""

    x: np.ndarray  # [B, K]
    history: np.ndarray  # [steps, B] losses before each step


class _Step(NamedTuple):
    moved: np.ndarray  # [B, K]
    changed: np.ndarray  # [B, K] change of the gradient


def minimize(
    problem: Any,
    start: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    steps: int,
    constrain: Optional[Callable[[np.ndarray], Any]] = None,
    progress: Optional[Callable[[int], Any]] = None,
    watch: Optional[Callable[[np.ndarray], Any]] = None,
) -> Result:
    """Minimize functions of coefficients.

    Args:
        problem: has the methods ``differentiate(x, fraction)``, which returns the losses [B] and
            their gradient [B, K] at a fraction 0..1 of all steps; ``total(losses)`` [P], the sums
            of each of the P problems; ``dot(a, b)`` [P, 1], their inner products; and
            ``curvature(x)``, which returns a function ``solve(gradient, free)``: the Newton step
            [B, K] of the coefficients that are free. P is B or 1.
        start: [B, K] float32.
        lower, upper: [K] bounds.
        steps: number of steps; each evaluates all functions once.
        constrain: changes coefficients in place to satisfy further constraints, or None.
        progress: callable taking the number of finished steps, or None.
        watch: callable taking the coefficients [B, K] after each step, or None.

    Returns:
        A :class:`Result`, whose ``x`` is within the bounds.
    """
    x = start
    history: List[np.ndarray] = []
    if not steps:
        return Result(x, np.zeros((0, len(x))))
    loss, gradient = problem.differentiate(x, 0.0)
    length: np.ndarray = np.ones(len(problem.total(loss)))
    memory: List[_Step] = []
    for step in range(steps):
        # 1. the direction of the coefficients that are not held by their bounds
        history.append(loss)
        if step % _ROUND == 0:
            solve = problem.curvature(x)
        free = ~(((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0)))
        direction = _direction(problem, gradient, free, memory, solve)

        # 2. a step along it, back into the bounds
        moved = np.clip(x - length[:, np.newaxis] * direction, lower, upper).astype(np.float32)
        if constrain:
            constrain(moved)
        trial, slope = problem.differentiate(moved, (step + 1) / float(steps))
        memory = memory[1 - _MEMORY :] + [_Step(moved - x, slope - gradient)]

        # 3. kept by the problems that it helps
        fall = problem.dot(direction, gradient)[:, 0]
        rise = -problem.dot(direction, slope)[:, 0]
        before, after = problem.total(loss), problem.total(trial)
        better = (rise < fall) & (after - before <= _HIGHEST_RISE * np.abs(before))
        length = np.where(better, np.minimum(1.0, _LONGER * length), _SHORTER * length)
        x = np.where(better[:, np.newaxis], moved, x)
        gradient = np.where(better[:, np.newaxis], slope, gradient)
        loss = np.where(better, trial, loss)
        if watch:
            watch(x)
        if progress:
            progress(step + 1)
    return Result(x, np.array(history))


def _direction(
    problem: Any,
    gradient: np.ndarray,
    free: np.ndarray,
    memory: List[_Step],
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return the inverse curvature times the gradient, [B, K]: the recursion of two loops."""
    # 1. the remembered steps among the free coefficients; those without curvature do not count
    pairs: List[Tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for remembered in memory:
        moved = np.where(free, remembered.moved, 0).astype(np.float64)
        changed = np.where(free, remembered.changed, 0).astype(np.float64)
        along, squared = problem.dot(moved, changed), problem.dot(changed, changed)
        counts = along > _LEAST_ALONG * squared
        pairs.append((moved, changed, np.where(counts, 1 / np.where(counts, along, 1), 0)))

    # 2. from the last step to the first, the start matrix, and back
    direction = np.where(free, gradient, 0).astype(np.float64)
    factors = []
    for moved, changed, inverse in reversed(pairs):
        factors.append(inverse * problem.dot(moved, direction))
        direction = direction - factors[-1] * changed
    direction = solve(direction, free)
    for (moved, changed, inverse), factor in zip(pairs, reversed(factors)):
        direction = direction + moved * (factor - inverse * problem.dot(changed, direction))
    return direction


def damped(matrices: np.ndarray) -> np.ndarray:
    """Return curvatures [B, K, K] with a larger diagonal, float64."""
    result = matrices.astype(np.float64)
    diagonal = np.einsum("bkk->bk", result)  # a view
    diagonal += _DAMPING * diagonal + _LEAST_CURVATURE
    return result


def hold(matrices: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return curvatures [B, K, K] in which only the free coefficients [B, K] are connected."""
    held = matrices * (free[:, :, np.newaxis] & free[:, np.newaxis, :])
    np.einsum("bkk->bk", held)[~free] = 1.0
    return held
