"""Cuts are found; movement, noise and slow changes of light are none."""

import numpy as np

from video.shots import ShotDetector


def scene(seed):
    small = np.random.RandomState(seed).randint(0, 255, (6, 8, 3)).astype(np.uint8)
    return np.kron(small, np.ones((20, 20, 1), np.uint8))


def cuts(frames):
    detector = ShotDetector()
    return [i for i, frame in enumerate(frames) if detector.is_cut(frame)]


def test_cuts_between_scenes_are_found():
    frames = [scene(0)] * 5 + [scene(1)] * 7 + [scene(2)] * 2
    assert cuts(frames) == [5, 12]


def test_noise_movement_and_light_are_no_cuts():
    random = np.random.RandomState(0)
    frames = []
    for i in range(20):
        moved = np.roll(scene(0), 3 * i, axis=1) * (1 - 0.02 * i)
        frames.append(np.clip(moved + random.normal(0, 8, moved.shape), 0, 255).astype(np.uint8))
    assert cuts(frames) == []
