"""The 68 iBUG landmarks and the five alignment points: counts, index tables, standard positions."""

from typing import Any

import numpy as np

LANDMARK_COUNT = 68
JAW, BROWS = slice(0, 17), slice(17, 27)
INNER_LANDMARKS = slice(17, LANDMARK_COUNT)  # all but the jaw line
EYES_AND_MOUTH = slice(36, LANDMARK_COUNT)
# The pair of landmarks, counted from 0, whose mean is each of the five points: left eye, right
# eye, nose tip, left and right mouth corner as seen in the image.
FIVE_FROM_68 = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))
# The five points of a standard face; dm, x right, y up, z towards the camera (Deng et al.,
# CVPRW 2019).
STANDARD_POINTS_3D = np.array(
    [
        [-0.31148657, 0.29036078, 0.13377953],
        [0.30979887, 0.28972036, 0.13179526],
        [0.0032535, -0.04617932, 0.55244243],
        [-0.25216928, -0.38133916, 0.22405732],
        [0.2484662, -0.38128236, 0.22235769],
    ]
)


def five_from_68(landmarks: Any, axis: int = -2) -> np.ndarray:
    """Return the five alignment points as means of pairs of the 68 iBUG landmarks.

    Args:
        landmarks: [..., 68, ...], a quantity known for each landmark (positions, bases).
        axis: the axis of the 68 landmarks.

    Returns:
        float64, the same shape with 5 in place of 68.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    first, second = np.transpose(FIVE_FROM_68)
    return (np.take(landmarks, first, axis) + np.take(landmarks, second, axis)) / 2
