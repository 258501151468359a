"""How far each of 68 detected landmarks can be trusted.

Predictors that were trained on frontal faces answer in profile, too, and wrongly. Three things
tell: they disagree with independent five points, they answer differently when asked about a
slightly different box, and the points are on the side of the face that cannot be seen.
"""

import numpy as np

from geometry.landmarks import five_from_68

# Distance from the five points, in distances from eyes to mouth. On 20 photos up to 37 degrees
# of yaw the mean of the five was .02 to .07 (95% of the single ones below .076); on two profiles,
# where the predictor failed, it was .11 and .14.
_AGREEMENT = (0.08, 0.16)
# Standard deviation over shifted boxes, pixels of the crop: 0.3 to 1.5 where the predictor is
# right, 3 to 15 where it guesses.
_SPREAD = (1.5, 5.0)
# Degrees of yaw over which the far side disappears. The jaw goes first, because a predictor
# marks the outline that it sees, not the jaw behind it.
_FAR_JAW_YAW, _FAR_SIDE_YAW = (10.0, 35.0), (40.0, 60.0)
_LEAST_WEIGHT = 0.1  # anything less is no evidence at all

# Landmarks (from 0) on the left and right side of the image.
_LEFT_JAW, _RIGHT_JAW = np.arange(0, 8), np.arange(9, 17)
_LEFT_INNER = np.array([17, 18, 19, 20, 21, 31, 32, 36, 37, 38, 39, 40, 41, 48, 49, 50, 58, 59, 60, 61, 67])
_RIGHT_INNER = np.array([22, 23, 24, 25, 26, 34, 35, 42, 43, 44, 45, 46, 47, 52, 53, 54, 55, 56, 63, 64, 65])


def landmark_weights(landmarks, five_points, yaw, spread=None):
    """Weigh 68 landmarks by all that tells whether they are right.

    Args:
        landmarks: [68, 2], y down.
        five_points: [5, 2] in the same pixels, found independently.
        yaw: degrees, positive where the face turns to the right of the image.
        spread: [68] standard deviation over repeated predictions, pixels of the crop; None if the
            predictor was asked once.

    Returns:
        [68] float64: 1 where a landmark is as good as any, 0 where it must not be used.
    """
    weights = _agreement(landmarks, five_points) * _visibility(yaw)
    if spread is not None:
        weights *= _falling(spread, _SPREAD)
    return np.where(weights < _LEAST_WEIGHT, 0.0, weights)


def _agreement(landmarks, five_points):
    """Return [68] how well the part of the face that a landmark belongs to agrees with five points."""
    face_height = np.linalg.norm(five_points[:2].mean(axis=0) - five_points[3:].mean(axis=0))
    distances = np.linalg.norm(five_from_68(landmarks) - five_points, axis=1) / max(face_height, 1e-6)
    agreement = np.empty(68)
    agreement[:17] = _falling(distances.mean(), _AGREEMENT)
    parts = ((slice(17, 22), [0]), (slice(22, 27), [1]), (slice(27, 36), [2]),
             (slice(36, 42), [0]), (slice(42, 48), [1]), (slice(48, 68), [3, 4]))
    for part, points in parts:
        # the part's own points and the whole face: one point may agree by accident
        agreement[part] = _falling((distances[points].mean() + distances.mean()) / 2, _AGREEMENT)
    return agreement


def _visibility(yaw):
    """Return [68] how well each landmark is seen at a yaw, in degrees."""
    visibility = np.ones(68)
    jaw, inner = (_RIGHT_JAW, _RIGHT_INNER) if yaw > 0 else (_LEFT_JAW, _LEFT_INNER)
    visibility[jaw] = _falling(abs(yaw), _FAR_JAW_YAW)
    visibility[inner] = _falling(abs(yaw), _FAR_SIDE_YAW)
    return visibility


def _falling(value, limits):
    """Fall from 1 to 0 linearly between two limits."""
    low, high = limits
    return np.clip((high - value) / (high - low), 0.0, 1.0)
