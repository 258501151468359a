"""478 points of a face by MediaPipe's landmark network: the surface, lids, lips and irises.

The network looks at a turned square around the face (``alignment.square``). A first look from the
detector's box gives the square of the second one, in which the face is upright and fills two
thirds, as in the network's training.
"""

from typing import NamedTuple

import numpy as np

from alignment.mediapipe_networks import (
    DENSE_LANDMARK_NETWORK,
    DENSE_LANDMARK_OUTPUTS,
    OpenNetwork,
)
from alignment.square import Square
from geometry.landmark_layout import DENSE_FROM_68, five_from_68

DENSE_COUNT = 478
_SIZE = 256  # pixels of the network's input
_MARGIN = 1.5  # side of the square by the extent of face or points
# Outer corners of the eyes, left and right as seen in the image.
_LEFT_CORNER, _RIGHT_CORNER = 33, 263


class DenseLandmarks(NamedTuple):
    """478 points of a face, in MediaPipe's order."""

    points: np.ndarray  # [478, 2] photo pixels, y down
    presence: float  # 0..1, that the square shows a face

    def five_points(self) -> np.ndarray:
        """Return the five alignment points, [5, 2]."""
        return five_from_68(self.landmarks())

    def landmarks(self) -> np.ndarray:
        """Return the 68 iBUG landmarks, [68, 2]; those of the jaw lie on the face's outline."""
        return self.points[list(DENSE_FROM_68)]

    def roll(self) -> float:
        """Return the angle of the line through the eyes, degrees, clockwise."""
        right, down = self.points[_RIGHT_CORNER] - self.points[_LEFT_CORNER]
        return float(np.degrees(np.arctan2(down, right)))


class DenseLandmarkNetwork:
    """Runs the network.

    Args:
        path: the frozen graph that ``python -m alignment.mediapipe_networks`` writes.

    Raises:
        InputError: the file is missing or damaged.
    """

    def __init__(self, path: str = DENSE_LANDMARK_NETWORK) -> None:
        self._network = OpenNetwork(path, DENSE_LANDMARK_OUTPUTS[:2])

    def predict(self, photo: np.ndarray, box: Square) -> DenseLandmarks:
        """Return the :class:`DenseLandmarks` of a face.

        Args:
            photo: [H, W, 3] uint8 RGB.
            box: the face's box, upright along the face.
        """
        first = self._look(photo, box._replace(side=_MARGIN * box.side))
        return self._look(photo, self._square_around(first))

    def follow(self, photo: np.ndarray, last: DenseLandmarks) -> DenseLandmarks:
        """Return the points of a face that was seen a moment ago, by one look.

        Args:
            photo: [H, W, 3] uint8 RGB.
            last: its points in the frame before.
        """
        return self._look(photo, self._square_around(last))

    def _look(self, photo: np.ndarray, square: Square) -> DenseLandmarks:
        crop = square.cut(photo, _SIZE)
        values, presence = self._network.run(crop[np.newaxis].astype(np.float32) / 255.0)
        # The network counts pixel corners as integers.
        points = values.reshape(DENSE_COUNT, 3)[:, :2].astype(np.float64) - 0.5
        logit = float(np.ravel(presence)[0])
        return DenseLandmarks(square.to_photo(points, _SIZE), float(1 / (1 + np.exp(-logit))))

    @staticmethod
    def _square_around(landmarks: DenseLandmarks) -> Square:
        """Return the square around points, along the line through the eyes."""
        degrees = landmarks.roll()
        unit = Square(np.zeros(2), 1.0, degrees)
        upright = unit.from_photo(landmarks.points, 1)
        low, high = upright.min(axis=0), upright.max(axis=0)
        return Square(
            unit.to_photo((low + high) / 2, 1), float(_MARGIN * (high - low).max()), degrees
        )
