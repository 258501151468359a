"""Faces of photos with landmarks of a fitted face model: one 3-D definition at any yaw.

Two networks look at a face: one gives 478 points of what is visible, the other 68 landmarks,
hidden ones too, with their noise. Detected points follow the outline of a turned face and are wrong
where it hides them; so they count as far as their network is sure, and as the other one, where it
is sure itself, agrees. The face model that fits all of them best (``fitting.landmarks``) has 68
landmarks too, each of which keeps its place on the face. Its five points give the final crop, and
``fitting.identity_map`` tells from it who the person most likely is.
"""

from typing import List, NamedTuple, Optional

import numpy as np

from alignment.align import Alignment
from alignment.dense_landmarks import DenseLandmarks
from alignment.landmark_confidence import (
    confirmed_presence,
    fitted_confidence,
    landmark_confidence,
)
from alignment.landmark_network import open_landmark_network
from alignment.locate import FaceLocation, FaceLocator
from face_model.model import FaceModel
from fitting.identity_map import find_identity_map, fit_parameters
from fitting.landmarks import LandmarkFit, LandmarkFitter, network_confidence
from geometry.camera import flip_y
from geometry.landmark_layout import INNER_LANDMARKS, five_from_68

_SURE_PRESENCE = 0.8  # trust in the 478 points with which they need no other look


class FittedLocation(NamedTuple):
    """A face in a photo, with the landmarks of the fitted model. Photo pixels, y down."""

    alignment: Alignment
    five_points: np.ndarray  # [5, 2], that define the crop
    landmarks: np.ndarray  # [68, 2]
    landmark_confidence: np.ndarray  # [68] 0..1
    trust: float  # 0..1, in the place of the face
    evidence: Optional[np.ndarray]  # [5, 2] five points to fit to, or None
    fit: Optional[LandmarkFit]  # in the crop; None without the 478 points


class _Look(NamedTuple):
    """What is seen in the crop of a face."""

    points: np.ndarray  # [68, 2] of the landmark network, crop pixels, y down
    noise: np.ndarray  # [68] of these points, pixels
    presence: float  # 0..1, trust in the 478 points


class ModelFaceLocator:
    """Locates faces and fits a face model to their points.

    Args:
        model: a ``FaceModel``.
        detector: one of ``alignment.detect.DETECTORS``.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``; of the landmark network.
        expect_identity: whether fits have the expected identity, where a map of it is known.
    """

    def __init__(
        self,
        model: FaceModel,
        detector: str = "auto",
        allow_any_op: bool = False,
        expect_identity: bool = True,
    ) -> None:
        self._locator = FaceLocator(detector, allow_any_op)
        self._fitter = LandmarkFitter(model)
        self._identity_map = find_identity_map(model) if expect_identity else None

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

        # 1. crops: five points that are given stay, detected ones follow the fitted face, around
        # which a doubtful answer of the 478 points is replaced by another look
        evidence = location.alignment.five_points if location.source == "file" else None
        seen = self._look(location)
        fit = self._fit_to(location, seen, evidence)
        if location.source == "detector":
            in_photo = location.alignment.to_photo(flip_y(fit.landmarks))
            dense = location.dense if seen.presence >= _SURE_PRESENCE else None
            location = self._locator.with_five_points(photo, five_from_68(in_photo), dense=dense)
            seen = self._look(location)
            fit = self._fit_to(location, seen, None, fit)

        # 2. the landmarks of the fitted face; they are doubtful where the landmark network, which
        # sees the whole face, has other ones
        landmarks = flip_y(fit.landmarks)
        agreement = landmark_confidence(seen.points, five_from_68(landmarks), yaw=None)
        confidence = fitted_confidence(agreement, seen.noise, seen.presence)

        # 3. the person whom such a fit tells of, with pose and expression to match
        if self._identity_map is not None:
            expected = self._identity_map.expect(fit_parameters(fit))
            fit = self._fit_to(location, seen, evidence, fit, expected)
        return FittedLocation(
            location.alignment,
            location.five_points,
            location.alignment.to_photo(landmarks),
            confidence,
            float(confidence[INNER_LANDMARKS].mean()),
            evidence,
            fit,
        )

    @staticmethod
    def _look(location: FaceLocation) -> _Look:
        """Return the landmark network's points, and how far they confirm the 478 points."""
        assert location.dense is not None
        alignment, dense = location.alignment, location.dense
        crops = alignment.crop[np.newaxis]
        points, noise = (values[0] for values in open_landmark_network().predict_both_ways(crops))
        agreement = landmark_confidence(points, alignment.to_crop(dense.five_points()), yaw=None)
        return _Look(points, noise, confirmed_presence(dense.presence, noise, agreement))

    def _fit_to(
        self,
        location: FaceLocation,
        seen: _Look,
        five_points: Optional[np.ndarray],
        start: Optional[LandmarkFit] = None,
        identity: Optional[np.ndarray] = None,
    ) -> LandmarkFit:
        """Return the fit to the points in the crop of a location.

        Args:
            location: the face.
            seen: result of :meth:`_look`.
            five_points: [5, 2] evidence in the crop, y down, or None.
            start, identity: see ``LandmarkFitter.fit``.
        """
        assert location.dense is not None
        return self._fitter.fit(
            flip_y(seen.points),
            network_confidence(seen.noise),
            None if five_points is None else flip_y(five_points),
            flip_y(location.alignment.to_crop(location.dense.points)),
            seen.presence,
            start,
            identity,
        )
