"""68 iBUG landmarks by dlib's predictor.

Kazemi & Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR
2014). The predictor was trained on boxes of dlib's frontal detector. Here it runs inside the
aligned crop, where such a box always has the same place: the scale is the same for every
photo, and it works also where that detector finds nothing.
"""

import importlib.util
import os
from typing import NamedTuple

import numpy as np
from PIL import Image

from alignment.align import align, crop_to_photo
from alignment.five_points import yaw_and_roll
from alignment.landmark_confidence import landmark_weights
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.installed import is_installed

# Centre and half side of the frontal detector's box in the aligned crop, on average over 20
# photos (standard deviation about 10 px); the landmarks are as good as with its own box.
_BOX_CENTRE, _BOX_HALF_SIDE = (110.5, 114.0), 73.5
# Boxes to predict in: shift right, shift down, zoom. Their mean is steadier than one
# prediction, and their spread tells where the predictor is guessing.
_BOXES = ((0, 0, 1.0), (8, 0, 1.0), (-8, 0, 1.0), (0, 8, 1.0), (0, -8, 1.0), (0, 0, 0.92), (0, 0, 1.09))
_LEVEL_ROLL = 10.0  # degrees; faces that lean more are turned upright first, as in training
_PREDICTOR_FILE = "shape_predictor_68_face_landmarks.dat"


class Landmarks(NamedTuple):
    """68 landmarks in iBUG's order."""

    points: np.ndarray  # [68, 2] photo pixels, y down
    weights: np.ndarray  # [68] trust in each, 0..1


def predictor_path():
    """Return the path of the predictor that the PyPI package face_recognition_models ships.

    Raises:
        InputError: the package is not installed.
    """
    return models_file(_PREDICTOR_FILE)


def models_file(name):
    """Return the path of a file of face_recognition_models, without importing the package.

    (Importing it needs pkg_resources, which current Python environments lack.)
    """
    spec = importlib.util.find_spec("face_recognition_models")
    path = spec and os.path.join(os.path.dirname(spec.origin), "models", name)
    if not path or not os.path.isfile(path):
        raise InputError("{}: missing; install the package face_recognition_models".format(name))
    return path


class LandmarkPredictor:
    """dlib's 68-point predictor, loaded at the first call."""

    def __init__(self):
        self._predictor = None

    def predict(self, photo, five_points, alignment=None):
        """Return the :class:`Landmarks` of a face.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down; they place the crop, and check the result.
            alignment: ``align(photo, five_points)``, from callers that have it.
        """
        import dlib  # an optional dependency under Python 3.6
        crop, _, trans_params = alignment or align(photo, five_points)
        yaw, roll = yaw_and_roll(five_points)
        turn = roll if abs(roll) > _LEVEL_ROLL else 0.0
        if turn:
            crop = np.asarray(Image.fromarray(crop).rotate(turn, Image.BILINEAR))  # counter-clockwise
        centre = _turned(np.array(_BOX_CENTRE), -turn)
        predictions = []
        for right, down, zoom in _BOXES:
            low = np.rint(centre + (right, down) - _BOX_HALF_SIDE * zoom).astype(int)
            high = low + int(round(2 * _BOX_HALF_SIDE * zoom))
            predictions.append(self.predict_in_box(crop, dlib.rectangle(*map(int, np.append(low, high)))))
        in_crop = _turned(np.mean(predictions, axis=0), turn)
        spread = np.sqrt(np.var(predictions, axis=0).sum(axis=1))
        points = crop_to_photo(in_crop, trans_params)
        return Landmarks(points, landmark_weights(points, five_points, yaw, spread))

    def predict_in_box(self, photo, box):
        """Return 68 points, [68, 2], given a ``dlib.rectangle`` as dlib's frontal detector draws it."""
        import dlib
        if self._predictor is None:
            self._predictor = dlib.shape_predictor(predictor_path())
        parts = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([[point.x, point.y] for point in parts], np.float64)

    @staticmethod
    def available():
        """Tell whether dlib and the predictor's file are installed."""
        return all(is_installed(name) for name in ("dlib", "face_recognition_models"))


def _turned(points, degrees):
    """Turn points [..., 2] of the crop (y down) clockwise around its centre."""
    angle = np.radians(degrees)
    middle = (IMAGE_SIZE - 1) / 2
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - middle).dot(rotation.T) + middle
