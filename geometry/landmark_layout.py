"""The 68 iBUG landmarks and the five alignment points: counts, index tables, standard positions."""

from typing import Any

import numpy as np

LANDMARK_COUNT = 68
JAW, BROWS = slice(0, 17), slice(17, 27)
INNER_LANDMARKS = slice(17, LANDMARK_COUNT)  # all but the jaw line
EYES, MOUTH = slice(36, 48), slice(48, LANDMARK_COUNT)
EYES_AND_MOUTH = slice(36, LANDMARK_COUNT)
# The pair of landmarks, counted from 0, whose mean is each of the five points: left eye, right
# eye, nose tip, left and right mouth corner as seen in the image.
FIVE_FROM_68 = ((36, 39), (42, 45), (30, 30), (48, 48), (54, 54))
# The 68 landmarks among the 478 points of MediaPipe's face mesh; the jaw lies on its outline.
# fmt: off
DENSE_FROM_68 = (
    127, 234, 93, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
# fmt: on
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


def mirrored_landmarks() -> np.ndarray:
    """Return, for each of the 68 iBUG landmarks, the index of its mirror image, [68] int."""
    order = np.arange(LANDMARK_COUNT)
    # Ranges that a mirror reverses: jaw, brows, nostrils, upper lip outside and inside.
    for first, last in ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64)):
        order[first : last + 1] = np.arange(last, first - 1, -1)
    order[55:60] = np.arange(59, 54, -1)  # lower lip, outside
    order[65:68] = np.arange(67, 64, -1)  # lower lip, inside
    # Eyes: both are numbered from the left.
    order[36:42] = [45, 44, 43, 42, 47, 46]
    order[42:48] = [39, 38, 37, 36, 41, 40]
    return order
