"""The face of a camera, reconstructed frame by frame while it is recorded.

Later frames are not known yet: identity, albedo and light are means of the coefficient network's
predictions so far, pose and expression are fitted to each frame, and one-euro filters make them
smooth. The recording is reconstructed afterwards as any clip, more accurately.
"""

from typing import Any, List, Optional

import numpy as np
from scipy.spatial.transform import Rotation

from alignment.align import align, upright_angle
from alignment.dense_landmarks import DenseLandmarks
from alignment.detect import FaceDetector
from alignment.landmark_network import open_landmark_network
from face_model.coefficients import Coefficients, coefficient_sizes, split_coefficients
from face_model.model import FaceModel
from utils.errors import InputError
from video.clips import Frame
from video.drawing import FacePainter, PlacedFace
from video.motion import Motion, Person, Placer
from video.people import MotionFitter
from video.smoothing import OneEuroFilter
from video.tracking import LEAST_PRESENCE, PAUSE, Sighting, Track, is_inside, make_sighting

_IDENTITY_FRAMES = 32  # whose mean is the identity; it changes after 1, 2, 4, ... of them
_NO_MOTION = Motion(*(np.zeros(0),) * len(Motion._fields))
# Cutoff in Hz at rest, and the Hz that it rises by for each unit of speed.
_ROTATION = (1.5, 20.0)  # of a quaternion's components: half radians a second
_POSITION = (1.5, 4.0)  # of the head's position, in its size
_SIZE = (1.0, 2.0)  # of the logarithm of the size
_EXPRESSION = (2.0, 2.0)
_LIGHT = (0.5, 0.0)


class LiveFace:
    """Reconstructs the largest face of one frame after another.

    Args:
        pipeline: ``reconstruction.pipeline.FacePipeline``.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._model: FaceModel = pipeline.model
        self._detector = FaceDetector()
        self._network = open_landmark_network()
        self._last: Optional[DenseLandmarks] = None
        self._next_search = 0
        self._smoother = _MotionSmoother()
        self._rows: List[np.ndarray] = []  # of the coefficient network
        self._person: Optional[Person] = None  # without motion
        self._known_from = 1  # frames of the network that the person is the mean of
        self._fitter: Any = None
        self._painter: Any = None

    def draw(self, frame: Frame) -> np.ndarray:
        """Return a frame [H, W, 3] with the face laid in, if it shows one.

        Args:
            frame: later than that of the last call.
        """
        dense = self._find(frame)
        sighting = None if dense is None else self._look(frame, dense)
        if sighting is None:
            return frame.pixels
        person = self._know(sighting)

        # 1. the motion of this frame, smooth with those before
        track = Track(0)
        track.sightings.append(sighting)
        person = person._replace(motion=self._smoother.smooth(self._fitter.fit([track])))

        # 2. its picture
        pictures = [frame.pixels]
        placement = Placer(self._model, person).place(frame.pixels, 0, with_crop=False)
        self._painter.lay_in(pictures, [PlacedFace(0, 0, placement)])
        return pictures[0]

    def _find(self, frame: Frame) -> Optional[DenseLandmarks]:
        """Return the points of the face near those of the frame before, or after a search."""
        dense = None
        if self._last is not None:
            dense = self._detector.follow(frame.pixels, self._last)
        elif frame.number >= self._next_search:
            self._next_search = frame.number + PAUSE
            found = self._detector.detect(frame.pixels, all_faces=False)
            dense = found[0].dense if found else None
        if dense is not None and (
            dense.presence < LEAST_PRESENCE or not is_inside(dense, frame.pixels)
        ):
            dense = None
        if dense is None and self._last is not None:
            self._smoother = _MotionSmoother()  # the next face is another motion
        self._last = dense
        return dense

    def _look(self, frame: Frame, dense: DenseLandmarks) -> Optional[Sighting]:
        """Return the networks' view of a face; None if its points lie on one spot."""
        five_points = dense.five_points()
        try:
            alignment = align(frame.pixels, five_points, upright_angle(five_points))
        except InputError:
            return None
        crops = alignment.crop[np.newaxis]
        points, noise = self._network.predict_noise(crops)
        predict = self._pipeline.predictor
        row = None if predict is None else predict(crops)[0]
        return make_sighting(frame, dense, alignment, points[0], noise[0], row)

    def _know(self, sighting: Sighting) -> Person:
        """Return the person, as far as the frames up to this one show who it is."""
        if sighting.predicted is not None and len(self._rows) < _IDENTITY_FRAMES:
            self._rows.append(sighting.predicted)
        if self._person is None or len(self._rows) >= 2 * self._known_from:
            self._known_from = max(len(self._rows), 1)
            mean = self._mean_prediction()
            self._person = Person("", mean.identity[0], mean.albedo[0], _NO_MOTION)
            self._fitter = MotionFitter(
                self._model, mean.identity[0], mean.albedo[0], mean.gamma[0]
            )
            self._painter = FacePainter(self._pipeline, [self._person])
        return self._person

    def _mean_prediction(self) -> Coefficients:
        """Return the mean of the network's coefficients, [1, ...]; zeros without a network."""
        sizes = coefficient_sizes(self._model)
        rows = self._rows or [np.zeros(sum(sizes))]
        return split_coefficients(np.mean(rows, axis=0, keepdims=True, dtype=np.float64), sizes)


class _MotionSmoother:
    """Makes a motion smooth while its frames arrive."""

    def __init__(self) -> None:
        self._rotation = OneEuroFilter(*_ROTATION, together=True)
        self._position = OneEuroFilter(*_POSITION, together=True)
        self._size = OneEuroFilter(*_SIZE)
        self._expression = OneEuroFilter(*_EXPRESSION)
        self._light = OneEuroFilter(*_LIGHT)
        self._quaternion = np.zeros(4)  # of the frame before
        self._unit: Optional[float] = None  # of positions: the size in the first frame

    def smooth(self, motion: Motion) -> Motion:
        """Return the smooth motion of the next frame; ``motion`` is that of this frame alone."""
        seconds = float(motion.seconds[0])
        quaternion = Rotation.from_matrix(motion.rotation[0]).as_quat()
        if quaternion.dot(self._quaternion) < 0:
            quaternion = -quaternion
        self._quaternion = self._rotation.smooth(seconds, quaternion)
        self._unit = self._unit or float(motion.size[0])
        position = self._position.smooth(seconds, motion.position[0] / self._unit)
        return motion._replace(
            rotation=Rotation.from_quat(self._quaternion).as_matrix()[np.newaxis],
            position=self._unit * position[np.newaxis],
            size=np.exp(self._size.smooth(seconds, np.log(motion.size))),
            expression=self._expression.smooth(seconds, motion.expression[0])[np.newaxis],
            light=self._light.smooth(seconds, motion.light[0])[np.newaxis],
        )
