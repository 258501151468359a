"""Series of a clip made smooth in time, without lag.

A series x of observations y minimizes

    sum w_t (x_t - y_t)^2 dt + (1 / (2 pi f)^4) sum r_t (x''_t)^2 dt,

a smoothing spline at the frames' own times. Its response 1 / (1 + (frequency / f)^4) has no phase:
nothing lags. The weights r fall where the series bends more than its noise does (Geman & McClure's
weights, found by repetition), so blinks and starts of movements stay as they are.

A series whose future is not known yet is smoothed by :class:`OneEuroFilter`.
"""

from typing import Any, Optional

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import maximum_filter1d
from scipy.spatial.transform import Rotation

_ROUNDS = 8
_BEND = 3.0  # bends of this multiple of those that noise causes keep a quarter of their weight
_NEAR = 5  # observations around a bend that are smoothed less, lest lines with corners result
_LEAST_BENDING = 1e-6  # weight of the sharpest bends; a positive one keeps the equations solvable
_LEAST_WEIGHT = 1e-6  # of observations
_SHORTEST_STEP = 1e-3  # seconds; cameras may give two frames one time
_SPEED_CUTOFF = 1.0  # Hz, of the speeds of the one-euro filter; the authors' choice


def smooth_series(
    seconds: np.ndarray,
    values: np.ndarray,
    cutoff: float,
    floor: float,
    weights: Optional[np.ndarray] = None,
    together: bool = False,
) -> np.ndarray:
    """Return series smoothed over a whole clip, without lag.

    Args:
        seconds: [T] rising times.
        values: [T, C].
        cutoff: Hz, at which a weak oscillation keeps half of its strength.
        floor: least standard deviation of the noise, in the units of the values.
        weights: [T] confidence in each time, 0..1; None: all alike.
        together: whether the channels bend together, as coordinates of a rotation do.

    Returns:
        [T, C].
    """
    values = np.asarray(values, np.float64)
    if len(values) < 4:
        return values.copy()
    steps = np.diff(seconds)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    data = np.maximum(weights, _LEAST_WEIGHT) * _spacing(steps)

    # 1. bends, and those that noise causes
    bending = _bending_rows(steps)
    stiffness = (2 * np.pi * cutoff) ** -4 * (steps[:-1] + steps[1:]) / 2
    usual = _BEND * np.maximum(noise_of(values), floor) * (2 * np.pi * cutoff) ** 2
    # A bend at an observation without confidence is no movement.
    sureness = np.min([weights[:-2], weights[1:-1], weights[2:]], axis=0) ** 2
    result = values

    # 2. smooth; where the result bends more, smooth less
    keep = np.ones((len(values) - 2, values.shape[1]))
    for _ in range(_ROUNDS):
        result = np.stack(
            [
                _solve(bending, stiffness * keep[:, channel], data, values[:, channel])
                for channel in range(values.shape[1])
            ],
            axis=1,
        )
        ratio = (_bend(bending, result) / usual) ** 2 * sureness[:, np.newaxis]
        ratio = maximum_filter1d(ratio, _NEAR, axis=0)
        if together:
            ratio = np.broadcast_to(ratio.max(axis=1, keepdims=True), ratio.shape)
        keep = np.maximum(1 / (1 + ratio) ** 2, _LEAST_BENDING)
    return result


def smooth_rotations(
    seconds: np.ndarray,
    rotations: np.ndarray,
    cutoff: float,
    floor: float,
    weights: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Return rotations [T, 3, 3] smoothed as quaternions; arguments of :func:`smooth_series`.

    ``floor`` is an angle in radians.
    """
    quaternions = continuous_quaternions(rotations)
    smooth = smooth_series(seconds, quaternions, cutoff, floor / 2, weights, together=True)
    return Rotation.from_quat(smooth).as_matrix()


def continuous_quaternions(rotations: np.ndarray) -> np.ndarray:
    """Return rotations [T, 3, 3] as unit quaternions [T, 4] (x, y, z, w) without jumps of sign."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    flips = np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0
    signs = np.concatenate([[1.0], np.where(flips, -1.0, 1.0)])
    return quaternions * np.cumprod(signs)[:, np.newaxis]


def noise_of(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the noise of series, [C].

    Third differences hardly contain movement; their median ignores the frames that do.

    Args:
        values: [T, C], T at least 4.
    """
    third = np.diff(values, n=3, axis=0)
    return 1.4826 * np.median(np.abs(third), axis=0) / np.sqrt(20.0)


def _spacing(steps: np.ndarray) -> np.ndarray:
    """Return the time that each observation stands for, [T]."""
    ends = np.concatenate([steps[:1], steps]) + np.concatenate([steps, steps[-1:]])
    return ends / 2


def _bending_rows(steps: np.ndarray) -> np.ndarray:
    """Return the coefficients of x_t-1, x_t, x_t+1 in the second derivatives, [3, T - 2]."""
    before, after = steps[:-1], steps[1:]
    scale = 2 / (before + after)
    return np.stack([scale / before, -scale * (1 / before + 1 / after), scale / after])


def _bend(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the second derivatives of series [T, C], [T - 2, C]."""
    left, middle, right = rows[..., np.newaxis]
    return left * values[:-2] + middle * values[1:-1] + right * values[2:]


def _solve(
    rows: np.ndarray, stiffness: np.ndarray, data: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Return the minimum for one series [T], by its banded normal equations."""
    count = len(values)
    banded = np.zeros((3, count))  # diagonals 2, 1, 0 above the main one
    banded[2] = data
    for first in range(3):
        for second in range(first, 3):
            product = stiffness * rows[first] * rows[second]
            banded[2 - (second - first), second : count - 2 + second] += product
    return solveh_banded(banded, data * values, overwrite_ab=True, check_finite=False)


class OneEuroFilter:
    """Makes a series smooth while it arrives; the quicker it changes, the less.

    Casiez, Roussel & Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
    Interactive Systems" (CHI 2012).

    Args:
        cutoff: Hz, of a low-pass filter for values at rest.
        slope: additional Hz for each unit of speed, 1 / the unit of the values.
        together: whether the channels change together, as those of a quaternion do.
    """

    def __init__(self, cutoff: float, slope: float, together: bool = False) -> None:
        self._cutoff, self._slope, self._together = cutoff, slope, together
        self._seconds: Optional[float] = None
        self._value: np.ndarray = np.zeros(0)
        self._speed: np.ndarray = np.zeros(0)

    def smooth(self, seconds: float, values: np.ndarray) -> np.ndarray:
        """Return the smooth values [C] at a time, for observed ones [C].

        Args:
            seconds: not before the time of the last call.
            values: [C] observed ones.
        """
        if self._seconds is None:
            self._seconds, self._value = seconds, np.asarray(values, np.float64)
            self._speed = np.zeros_like(self._value)
            return self._value
        step = max(seconds - self._seconds, _SHORTEST_STEP)
        change = (values - self._value) / step
        self._speed = self._speed + _share(_SPEED_CUTOFF, step) * (change - self._speed)
        speed = np.linalg.norm(self._speed) if self._together else np.abs(self._speed)
        share = _share(self._cutoff + self._slope * speed, step)
        self._seconds, self._value = seconds, self._value + share * (values - self._value)
        return self._value


def _share(cutoff: Any, step: float) -> Any:
    """Return the share of the newest value in a low-pass filter, 0..1."""
    turn = 2 * np.pi * cutoff * step
    return turn / (turn + 1)
