"""Faces of photos with landmarks of a fitted face model: one 3-D definition at any yaw.

Two networks look at a face: one gives 478 points of what is visible, the other 68 landmarks,
hidden ones too, with their noise. Detected points follow the outline of a turned face and are wrong
where it hides them. The face model that fits all of them best (``fitting.landmarks``) has 68
landmarks too, each of which keeps its place on the face. Its five points give the final crop.
"""

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from alignment.align import Alignment, align, upright_angle
from alignment.dense_landmarks import DenseLandmarks
from alignment.landmark_confidence import (
    landmark_confidence,
    network_certainty,
    network_presence,
)
from alignment.landmark_network import open_landmark_network
from alignment.locate import FaceLocation, FaceLocator
from face_model.model import FaceModel
from fitting.landmarks import LandmarkFit, LandmarkFitter, network_confidence
from geometry.camera import flip_y
from geometry.landmark_layout import INNER_LANDMARKS, five_from_68


class FittedLocation(NamedTuple):
    """A face in a photo, with the landmarks of the fitted model. Photo pixels, y down."""

    alignment: Alignment
    five_points: np.ndarray  # [5, 2], that define the crop
    landmarks: np.ndarray  # [68, 2]
    landmark_confidence: np.ndarray  # [68] 0..1
    trust: float  # 0..1, in the place of the face
    evidence: Optional[np.ndarray]  # [5, 2] five points to fit to, or None
    fit: Optional[LandmarkFit]  # in the crop; None without the 478 points


class ModelFaceLocator:
    """Locates faces and fits a face model to their points.

    Args:
        model: a ``FaceModel``.
        detector: one of ``alignment.detect.DETECTORS``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the landmark network.
    """

    def __init__(
        self, model: FaceModel, detector: str = "auto", allow_any_op: bool = False
    ) -> None:
        self._locator = FaceLocator(detector, allow_any_op)
        self._fitter = LandmarkFitter(model)

    def check_networks(self) -> None:
        """Load all networks; errors of ``alignment.locate.FaceLocator.check_networks``."""
        self._locator.check_networks()
        if self._locator.finds_dense_points:
            open_landmark_network()

    def locate(self, photo: np.ndarray, path: str, all_faces: bool = False) -> List[FittedLocation]:
        """Locate one or all faces of a photo; arguments and errors of ``FaceLocator.locate``."""
        locations = self._locator.locate(photo, path, all_faces)
        return [self._fit(photo, location) for location in locations]

    def locate_at(self, photo: np.ndarray, five_points: np.ndarray) -> FittedLocation:
        """Return the location of the face whose crop is defined by five points.

        The points place the crop and serve as nothing else.

        Args:
            photo: [H, W, 3] uint8 RGB.
            five_points: [5, 2] photo pixels, y down.

        Raises:
            InputError: the five points put the face outside of the photo.
        """
        return self._fit(photo, self._locator.with_five_points(photo, five_points, "given"))

    def locate_dense(self, photo: np.ndarray, dense: DenseLandmarks) -> FittedLocation:
        """Return the location of a face whose 478 points are known.

        Args:
            photo: [H, W, 3] uint8 RGB.
            dense: its points.

        Raises:
            InputError: the points put the face outside of the photo.
        """
        location = self._locator.with_five_points(photo, dense.five_points(), dense=dense)
        return self._fit(photo, location)

    def _fit(self, photo: np.ndarray, location: FaceLocation) -> FittedLocation:
        if location.dense is None:
            return FittedLocation(
                location.alignment,
                location.five_points,
                location.landmarks,
                location.landmark_confidence,
                float(location.landmark_confidence[INNER_LANDMARKS].mean()),
                None if location.source == "given" else location.alignment.five_points,
                None,
            )

        # 1. crops: five points that are given stay, detected ones follow the fitted face
        alignment, five_points = location.alignment, location.five_points
        evidence = alignment.five_points if location.source == "file" else None
        fit, points, noise = self._fit_in(alignment, location, evidence)
        if location.source == "detector":
            five_points = five_from_68(alignment.to_photo(flip_y(fit.landmarks)))
            alignment = align(photo, five_points, upright_angle(five_points))
            fit, points, noise = self._fit_in(alignment, location, None)

        # 2. the landmarks of the fitted face; they are doubtful where the landmark network, which
        # sees the whole face, has other ones
        landmarks = flip_y(fit.landmarks)
        confidence = landmark_confidence(points, five_from_68(landmarks), yaw=None)
        confidence *= network_certainty(noise)
        confidence *= max(network_presence(noise), location.dense.presence)
        return FittedLocation(
            alignment,
            five_points,
            alignment.to_photo(landmarks),
            confidence,
            float(confidence[INNER_LANDMARKS].mean()),
            evidence,
            fit,
        )

    def _fit_in(
        self, alignment: Alignment, location: FaceLocation, five_points: Optional[np.ndarray]
    ) -> Tuple[LandmarkFit, np.ndarray, np.ndarray]:
        """Return the fit to a location's points in a crop, and the landmark network's findings.

        These are its 68 points in the crop, [68, 2], and their noise, [68], both in pixels.

        Args:
            alignment: the crop.
            location: the face.
            five_points: [5, 2] evidence in the crop, y down, or None.
        """
        assert location.dense is not None
        points, noise = open_landmark_network().predict_both_ways(alignment.crop[np.newaxis])
        fit = self._fitter.fit(
            flip_y(points[0]),
            network_confidence(noise[0]),
            None if five_points is None else flip_y(five_points),
            flip_y(alignment.to_crop(location.dense.points)),
            location.dense.presence,
        )
        return fit, points[0], noise[0]
