"""Where a photo's faces are: five points and 68 landmarks, given or found."""

import os
from typing import NamedTuple

import numpy as np

from alignment.align import Alignment, align
from alignment.detect import FaceDetector
from alignment.five_points import five_points_path, five_points_problem, read_five_points
from alignment.landmark_network import LANDMARK_NETWORK, LandmarkNetwork
from alignment.landmarks import LandmarkPredictor
from utils.errors import InputError


class FaceLocation(NamedTuple):
    """A face in a photo; coordinates are photo pixels, y down."""

    five_points: np.ndarray  # [5, 2]
    landmarks: np.ndarray  # [68, 2]; zeros where there is no predictor
    landmark_weights: np.ndarray  # [68] trust, 0..1
    source: str  # of the five points: "file", "detector" or "given"
    alignment: Alignment  # the face, cut out by them


class FaceLocator:
    """Locates the faces of photos; loads detectors at first use.

    The 68 landmarks come from ``network/landmark68_detector.pb`` if it is there, else from dlib.

    Args:
        detector: one of ``alignment.detect.DETECTORS``.
    """

    def __init__(self, detector="auto"):
        self._detector = FaceDetector(detector)
        self._predictor = None

    def locate(self, photo, path, all_faces=False):
        """Locate one or all faces of a photo.

        Five points in ``NAME.txt`` beside the photo are used where that file is; they mean that one
        face. Otherwise faces are detected.

        Args:
            photo: [H, W, 3] uint8 RGB.
            path: where the photo came from, for its five points and for messages.
            all_faces: return every face, not only the largest.

        Returns:
            List of :class:`FaceLocation`, at least one, largest first.

        Raises:
            InputError: no face is found, or given five points are wrong.
        """
        height, width = photo.shape[:2]
        points_path = five_points_path(path)
        if os.path.isfile(points_path):
            return [self.with_five_points(photo, read_five_points(points_path, width, height), "file")]
        found = [face.five_points for face in self._detector.detect(photo, all_faces)
                 if five_points_problem(face.five_points, width, height) is None]
        if not found:
            raise InputError("{}: no face found; put its five points into {} (README: five points)".format(
                path, points_path))
        return [self.with_five_points(photo, points) for points in (found if all_faces else found[:1])]

    def with_five_points(self, photo, five_points, source="detector"):
        """Cut out the face with known five points, and add its 68 landmarks.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down.
            source: where they come from.

        Returns:
            A :class:`FaceLocation`.

        Raises:
            InputError: the five points put the face outside of the photo.
        """
        alignment = align(photo, five_points)
        if self._predictor is None:
            self._predictor = LandmarkNetwork() if os.path.isfile(LANDMARK_NETWORK) else LandmarkPredictor()
        if isinstance(self._predictor, LandmarkPredictor) and not self._predictor.available():
            return FaceLocation(five_points, np.zeros((68, 2)), np.zeros(68), source, alignment)
        landmarks = self._predictor.predict(photo, five_points, alignment)
        return FaceLocation(five_points, landmarks.points, landmarks.weights, source, alignment)
