"""Locations of a photo's faces: five points, 68 landmarks and 478 points, given or detected."""

import os
from typing import List, NamedTuple, Optional, Union

import numpy as np

from alignment.align import Alignment, align, upright_angle
from alignment.dense_landmarks import DenseLandmarks
from alignment.detect import FaceDetector
from alignment.dlib_landmarks import LandmarkPredictor
from alignment.five_points import (
    NoFivePoints,
    diagnose_five_points,
    five_points_path,
    read_five_points,
)
from alignment.landmark_confidence import dense_confidence
from alignment.landmark_network import LANDMARK_NETWORK, LandmarkNetwork
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError, log_notes


class FaceLocation(NamedTuple):
    """A face in a photo; coordinates are photo pixels, y down."""

    five_points: np.ndarray  # [5, 2]
    landmarks: np.ndarray  # [68, 2]; zeros without a predictor
    landmark_confidence: np.ndarray  # [68] 0..1
    source: str  # of the five points: "file", "detector" or "given"
    alignment: Alignment  # the crop that the five points define
    dense: Optional[DenseLandmarks] = None  # 478 points; None with dlib or a published network


class FaceLocator:
    """Locates the faces of photos; loads detectors at first use.

    The 68 landmarks come from ``network/landmark68_detector.pb`` if that file exists, else from
    the detector.

    Args:
        detector: one of ``alignment.detect.DETECTORS``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the landmark network.
    """

    def __init__(self, detector: str = "auto", allow_any_op: bool = False) -> None:
        self._detector = FaceDetector(detector)
        self._is_dense = detector != "dlib"  # finds 478 points of each face
        self._allow_any_op = allow_any_op
        self._predictor: Union[None, LandmarkNetwork, LandmarkPredictor] = None

    @property
    def finds_dense_points(self) -> bool:
        """Whether locations have 478 points: not with dlib or the published landmark network."""
        return self._is_dense and not os.path.isfile(LANDMARK_NETWORK)

    def check_networks(self) -> None:
        """Load all networks, and evaluate the published one, if its file exists, once.

        Raises:
            InputError: one cannot be loaded or evaluated, or its output is not plausible.
        """
        if self._is_dense:
            self._detector.load()
        if os.path.isfile(LANDMARK_NETWORK):
            self._predictor = network = LandmarkNetwork(allow_any_op=self._allow_any_op)
            network.predict_in_crops(np.full((1, IMAGE_SIZE, IMAGE_SIZE, 3), 127, np.uint8))

    def locate(self, photo: np.ndarray, path: str, all_faces: bool = False) -> List[FaceLocation]:
        """Locate one or all faces of a photo.

        Five points in a file ``NAME.txt`` beside the photo define its one face. Without that file,
        faces are detected; likewise, with a note, if it holds something else than five points.

        Args:
            photo: [H, W, 3] uint8 RGB.
            path: file of the photo, for its five points and for messages; "" without a file.
            all_faces: return every face, not only the largest.

        Returns:
            The faces, at least one, largest first.

        Raises:
            InputError: no face is found, or given five points are wrong.
        """
        # 1. given points
        height, width = photo.shape[:2]
        points_path = five_points_path(path) if path else ""
        if os.path.isfile(points_path):
            try:
                points = read_five_points(points_path, width, height)
                return [self.with_five_points(photo, points, "file")]
            except NoFivePoints as error:
                log_notes(["{}; faces are detected instead".format(error)])

        # 2. detected ones
        found = self._detector.detect(photo, all_faces)
        if not self._is_dense:
            found = [
                face
                for face in found
                if diagnose_five_points(face.five_points, width, height) is None
            ]
        if not found and not path:
            raise InputError("the photo: no face found")
        if not found:
            raise InputError(
                "{}: no face found; put its five points into {} (README: five points)".format(
                    path, points_path
                )
            )
        if not all_faces:
            del found[1:]
        return [self.with_five_points(photo, face.five_points, dense=face.dense) for face in found]

    def with_five_points(
        self,
        photo: np.ndarray,
        five_points: np.ndarray,
        source: str = "detector",
        dense: Optional[DenseLandmarks] = None,
    ) -> FaceLocation:
        """Return the location of a face with known five points: its crop and its landmarks.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down.
            source: origin of the five points, see :class:`FaceLocation`.
            dense: 478 points of the face, if they are known.

        Raises:
            InputError: the five points put the face outside of the photo.
        """
        alignment = align(photo, five_points, upright_angle(five_points))
        location = FaceLocation(five_points, np.zeros((68, 2)), np.zeros(68), source, alignment)

        # 1. the published network, or dlib
        if self._predictor is None and os.path.isfile(LANDMARK_NETWORK):
            self._predictor = LandmarkNetwork(allow_any_op=self._allow_any_op)
        if self._predictor is None and not self._is_dense:
            self._predictor = LandmarkPredictor()
        if self._predictor is not None:
            if isinstance(self._predictor, LandmarkPredictor) and not self._predictor.available():
                return location
            landmarks = self._predictor.predict(photo, five_points, alignment)
            return location._replace(
                landmarks=landmarks.points, landmark_confidence=landmarks.confidence
            )

        # 2. the detector's own points
        if dense is None:
            dense = self._detector.refine(photo, five_points)
        points = dense.landmarks()
        confidence = dense_confidence(points, five_points, dense.presence)
        return location._replace(landmarks=points, landmark_confidence=confidence, dense=dense)
