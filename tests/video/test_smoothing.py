"""Smoothing: noise falls, nothing lags, blinks stay, irregular times and rotations are right.

The filter of live series may lag, but little.
"""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from video.smoothing import (
    OneEuroFilter,
    continuous_quaternions,
    noise_of,
    smooth_rotations,
    smooth_series,
)

SECONDS = np.arange(300) / 30.0


def smooth(values, cutoff=2.0, floor=1e-3, **options):
    return smooth_series(SECONDS, values[:, np.newaxis], cutoff, floor, **options)[:, 0]


def test_the_response_is_that_of_the_formula():
    """A weak oscillation at the cutoff keeps half of its strength, without delay."""
    wave = 1e-3 * np.cos(2 * np.pi * 2.0 * SECONDS)
    found = smooth(wave, floor=1.0)[60:-60]
    np.testing.assert_allclose(found, 0.5 * wave[60:-60], atol=1e-4)


def test_straight_lines_are_kept_at_irregular_times():
    seconds = np.cumsum(np.random.RandomState(0).uniform(0.01, 0.2, 50))
    line = (3 - 2 * seconds)[:, np.newaxis]
    np.testing.assert_allclose(smooth_series(seconds, line, 1.0, 1e-3), line, atol=1e-9)


def test_noise_at_rest_falls_to_less_than_half():
    noise = np.random.RandomState(0).normal(0, 0.1, 300)
    assert smooth(noise).std() < 0.1 / 2
    assert noise_of(noise[:, np.newaxis])[0] == pytest.approx(0.1, rel=0.2)


def test_a_blink_keeps_its_strength_and_moment():
    blink = np.clip(1 - np.abs(SECONDS - 5) / 0.15, 0, 1)
    noisy = blink + np.random.RandomState(0).normal(0, 0.01, 300)
    found = smooth(noisy)
    assert found.max() > 0.9 and found.argmax() == blink.argmax() == 150
    assert np.abs(found - blink)[np.abs(SECONDS - 5) > 0.5].max() < 0.02


def test_smoothing_is_the_same_forwards_and_backwards():
    values = np.random.RandomState(0).normal(0, 1, 300).cumsum()
    np.testing.assert_allclose(smooth(values[::-1])[::-1], smooth(values), atol=1e-6)


def test_an_outlier_without_confidence_is_ignored():
    values, weights = np.zeros(300), np.ones(300)
    values[100], weights[100] = 50.0, 0.0
    found = smooth(values, weights=weights)
    assert np.abs(found).max() < 1.0


def test_short_series_stay():
    values = np.array([[1.0], [5.0], [2.0]])
    np.testing.assert_array_equal(smooth_series(np.arange(3.0), values, 1.0, 0.1), values)


def test_rotations_are_smooth_through_a_whole_turn():
    angles = np.linspace(0, 2 * np.pi, 300)
    true = Rotation.from_euler("y", angles)
    jitter = Rotation.from_rotvec(np.random.RandomState(0).normal(0, 0.01, (300, 3)))
    found = smooth_rotations(SECONDS, (true * jitter).as_matrix(), 2.0, 1e-3)
    errors = (Rotation.from_matrix(found) * true.inv()).magnitude()
    assert errors[10:-10].mean() < 0.5 * jitter.magnitude().mean()
    steps = np.diff(continuous_quaternions(true.as_matrix()), axis=0)
    assert np.abs(steps).max() < 0.05  # no jump of sign


def filtered(values, *options, **flags):
    live = OneEuroFilter(*options, **flags)
    return np.array([live.smooth(*pair) for pair in zip(SECONDS, values)])


def test_the_live_filter_is_the_low_pass_of_its_cutoff():
    """Without slope, a step is approached exponentially: 63% after 1 / (2 pi cutoff)."""
    found = filtered(np.ones((300, 1)) * (SECONDS > 0)[:, np.newaxis], 1.0, 0.0)[:, 0]
    alpha = 1 / (1 + 30 / (2 * np.pi))
    np.testing.assert_allclose(found, 1 - (1 - alpha) ** np.arange(300), atol=1e-12)


def test_the_live_filter_takes_two_values_of_one_time():
    live = OneEuroFilter(1.0, 1.0)
    found = [live.smooth(seconds, np.ones(1) * seconds) for seconds in (0.0, 0.5, 0.5, 1.0)]
    assert np.all(np.diff(np.ravel(found)) > 0) and found[-1] < 1


def test_the_live_filter_is_quiet_at_rest_and_quick_in_motion():
    noise = np.random.RandomState(0).normal(0, 0.01, (300, 2))
    assert filtered(noise, 1.5, 4.0)[30:].std() < 0.6 * 0.01
    ramp = np.stack([2.0 * SECONDS, np.zeros(300)], axis=1)
    lag = (ramp - filtered(ramp + noise, 1.5, 4.0))[60:, 0].mean() / 2.0
    assert 0 < lag < 1.0 / 30  # less than a frame
    # A channel at rest is disturbed by one that moves only if they belong together.
    apart, together = (
        filtered(ramp + noise, 1.5, 4.0, together=flag)[60:, 1] for flag in (False, True)
    )
    assert apart.std() < 0.7 * together.std()
