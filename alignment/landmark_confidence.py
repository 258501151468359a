"""Confidence in each of 68 detected landmarks.

Predictors trained on frontal faces return points for profiles too, and wrong ones. Three signs
show it: the points disagree with five independent points, they change when the face's box is
shifted slightly, or they lie on the side of the face that is turned away. The last one does not
apply to predictors of 3-D points, which mark hidden points where they are. This project's landmark
network says itself how sure it is of each point.
"""

from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from alignment.five_points import estimate_yaw_and_roll
from geometry.landmark_layout import INNER_LANDMARKS, five_from_68

# Distance from the five points, in distances from eyes to mouth. On 20 photos up to 37 degrees
# of yaw the mean of the five was .02 to .07 (95% of the single ones below .076); on two profiles,
# where the predictor failed, it was .11 and .14.
_AGREEMENT = (0.08, 0.16)
# Standard deviation over shifted boxes, pixels of the crop: 0.3 to 1.5 where the predictor is
# right, 3 to 15 where it is wrong.
_SPREAD = (1.5, 5.0)
# Degrees of yaw over which the far side disappears. The jaw goes first, because a predictor
# marks the visible outline, not the jaw behind it.
_FAR_JAW_YAW = (10.0, 35.0)
_FAR_SIDE_YAW = (40.0, 60.0)
# Mean noise that this project's landmark network gives, pixels of the crop: 2 to 5 on faces, in
# profile too, and over 8 on anything else.
_MEAN_NOISE = (5.0, 9.0)
# The noise of one landmark: 2 where it is seen, 5 where it is hidden by the head, 7 by an object.
_NOISE = (5.0, 12.0)
LEAST_TRUST = 0.5  # mean of the inner landmarks; a face with less may lie elsewhere, or be none
_MIN_CONFIDENCE = 0.1  # smaller values become 0

# Landmarks (from 0) on the left and right side of the image.
_LEFT_JAW, _RIGHT_JAW = np.arange(0, 8), np.arange(9, 17)
# fmt: off
_LEFT_INNER = np.array([
    17, 18, 19, 20, 21, 31, 32, 36, 37, 38, 39, 40, 41, 48, 49, 50, 58, 59, 60, 61, 67])
_RIGHT_INNER = np.array([
    22, 23, 24, 25, 26, 34, 35, 42, 43, 44, 45, 46, 47, 52, 53, 54, 55, 56, 63, 64, 65])
# fmt: on

# Parts of the face: their landmarks, and those of the five points that belong to them.
_PARTS = (
    (slice(17, 22), [0]),  # brows
    (slice(22, 27), [1]),
    (slice(27, 36), [2]),  # nose
    (slice(36, 42), [0]),  # eyes
    (slice(42, 48), [1]),
    (slice(48, 68), [3, 4]),  # mouth
)


class Landmarks(NamedTuple):
    """68 landmarks in iBUG's order."""

    points: np.ndarray  # [68, 2] photo pixels, y down
    confidence: np.ndarray  # [68] 0..1


def landmark_confidence(
    landmarks: np.ndarray,
    five_points: np.ndarray,
    yaw: Optional[float],
    spread: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Return the confidence in 68 landmarks.

    Args:
        landmarks: [68, 2], y down.
        five_points: [5, 2] in the same pixels, found independently.
        yaw: degrees, positive if the face turns to the right of the image; None for points that
            are valid on the far side of the face too.
        spread: [68] standard deviation over repeated predictions, pixels of the crop; None for a
            single prediction.

    Returns:
        [68] float64: 1 for a landmark without any of the three signs, 0 for one that must not be
        used.
    """
    confidence = _agreement(landmarks, five_points)
    if yaw is not None:
        confidence *= _visibility(yaw)
    if spread is not None:
        confidence *= _falling(spread, _SPREAD)
    return np.where(confidence < _MIN_CONFIDENCE, 0.0, confidence)


def dense_confidence(landmarks: np.ndarray, five_points: np.ndarray, presence: float) -> np.ndarray:
    """Return the confidence in the 68 landmarks among the 478 points, [68] float64.

    Args:
        landmarks: [68, 2], y down.
        five_points: [5, 2] in the same pixels.
        presence: 0..1, that a face was seen.
    """
    yaw, _ = estimate_yaw_and_roll(five_points)
    return presence * landmark_confidence(landmarks, five_points, yaw)


def network_presence(noise: np.ndarray) -> float:
    """Return the confidence, 0..1, that a crop shows a face.

    Args:
        noise: [68] standard deviations that the landmark network gives, pixels of the crop.
    """
    return float(_falling(noise.mean(), _MEAN_NOISE))


def network_certainty(noise: np.ndarray) -> np.ndarray:
    """Return the confidence in each landmark by the noise that the network gives, [68], 0..1."""
    return _falling(noise, _NOISE)


def confirmed_presence(presence: float, noise: np.ndarray, agreement: np.ndarray) -> float:
    """Return the trust in the 478 points, as far as the landmark network confirms them, 0..1.

    Args:
        presence: 0..1, of their network alone.
        noise: [68] of the landmark network.
        agreement: [68] of its points with others of the face, see :func:`landmark_confidence`.
    """
    doubt = network_presence(noise) * (1 - agreement[INNER_LANDMARKS].mean())
    return float(presence * (1 - doubt))


def fitted_confidence(agreement: np.ndarray, noise: np.ndarray, presence: float) -> np.ndarray:
    """Return the confidence in the 68 landmarks of a fitted face, [68].

    Args:
        agreement: [68] of the landmark network's points with the fitted face.
        noise: [68] of that network.
        presence: 0..1, see :func:`confirmed_presence`.
    """
    return agreement * network_certainty(noise) * max(network_presence(noise), presence)


def _agreement(landmarks: np.ndarray, five_points: np.ndarray) -> np.ndarray:
    """Return [68] the agreement of each landmark's part of the face with the five points, 0..1."""
    eyes, mouth = five_points[:2].mean(axis=0), five_points[3:].mean(axis=0)
    face_height = max(np.linalg.norm(eyes - mouth), 1e-6)
    distances = np.linalg.norm(five_from_68(landmarks) - five_points, axis=1) / face_height

    agreement = np.empty(68)
    agreement[:17] = _falling(distances.mean(), _AGREEMENT)
    for part, points in _PARTS:
        # the part's own points and the whole face: one point may agree by accident
        own = (distances[points].mean() + distances.mean()) / 2
        agreement[part] = _falling(own, _AGREEMENT)
    return agreement


def _visibility(yaw: float) -> np.ndarray:
    """Return [68] the visibility of each landmark at a yaw in degrees, 0..1."""
    visibility = np.ones(68)
    jaw, inner = (_RIGHT_JAW, _RIGHT_INNER) if yaw > 0 else (_LEFT_JAW, _LEFT_INNER)
    visibility[jaw] = _falling(abs(yaw), _FAR_JAW_YAW)
    visibility[inner] = _falling(abs(yaw), _FAR_SIDE_YAW)
    return visibility


def _falling(value: Union[float, np.ndarray], limits: Tuple[float, float]) -> np.ndarray:
    """Fall from 1 to 0 linearly between two limits."""
    low, high = limits
    return np.clip((high - value) / (high - low), 0.0, 1.0)
