"""Random faces: identity, expression, albedo, pose and light, as coefficient vectors.

Every face has random numbers of its own, made from the seed and its index, so that face 17 of
a run is the same whatever else is drawn.
"""

from typing import NamedTuple

import numpy as np

from alignment.align import FACE_SCALE
from face_model.coefficients import STATISTICAL_BOUND, Coefficients, coefficient_sizes
from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, IMAGE_SIZE, PRINCIPAL_POINT
from geometry.landmarks import STANDARD_POINTS_3D, five_from_68
from geometry.rotation import rotation_matrices
from synthesis.crop_placement import FacePlacer, Placement
from synthesis.expressions import draw_actions, draw_expression
from synthesis.lighting import draw_light
from synthesis.pose import draw_angles

_COEFFICIENT_STREAM, _PICTURE_STREAM = 0, 1
_SOFT_POSE_RANGE = np.radians(30)

_CROP_SHIFT = 4.0  # pixels, standard deviation of a crop's misplacement: what detectors are off by
_CROP_ZOOM = 0.04  # and of the logarithm of its scale
_PHOTO_FACE_SCALE = (0.62, 0.98)  # of the face in a photo, relative to the crop's
_PHOTO_MARGIN = 0.3  # of the photo's side; the centre of a face keeps so far from the edges


class PoseLimits(NamedTuple):
    """The largest rotation about each axis, radians."""

    pitch: float = np.radians(40)
    yaw: float = np.radians(90)
    roll: float = np.radians(40)


def face_random(seed, index, picture=False):
    """Return the ``RandomState`` of a face: of its coefficients, or of its picture."""
    return np.random.RandomState([seed, index, _PICTURE_STREAM if picture else _COEFFICIENT_STREAM])


def draw_coefficients(model, count, seed):
    """Draw faces with pose within 30 degrees about each axis, all evenly likely, and soft white light.

    Args:
        model: a ``FaceModel``.
        count: how many.
        seed: of the random numbers.

    Returns:
        [count, 257] float32.
    """
    random = np.random.RandomState(seed)
    sizes = coefficient_sizes(model)
    rows = []
    for _ in range(count):
        gamma = np.zeros((3, 9))
        gamma[:, 0] = random.uniform(-0.15, 0.25)
        gamma[:, 1:4] = random.normal(0, 0.2, 3)
        gamma[:, 4:] = random.normal(0, 0.05, 5)
        rows.append(np.concatenate(Coefficients(
            identity=random.standard_normal(sizes.identity),
            expression=draw_actions(model, random),
            albedo=random.standard_normal(sizes.albedo),
            angles=random.uniform(-_SOFT_POSE_RANGE, _SOFT_POSE_RANGE, 3),
            gamma=gamma.reshape(-1),
            translation=random.normal(0, 0.05, 3))))
    return np.array(rows, np.float32)


class FaceSampler:
    """Draws the faces of a data set.

    Args:
        model: a ``FaceModel``.
        seed: of the random numbers.
        limits: :class:`PoseLimits`.
        anywhere: False places a face as its 224x224 crop would, give or take what a detector is
            off by; True anywhere in a square photo.
        misplacement: how far off crops are; 1 is a usual detector, 0 exact.
    """

    def __init__(self, model, seed, limits=None, anywhere=False, misplacement=1.0):
        self._model, self._seed, self._anywhere = model, seed, anywhere
        self._limits = limits or PoseLimits()
        self._misplacement = misplacement
        self._sizes = coefficient_sizes(model)
        self._placer = FacePlacer(model)
        self._typical = typical_identity(model)

    def draw(self, index):
        """Return the coefficients of face ``index``, [257] float32."""
        random = face_random(self._seed, index)
        identity = self._typical + _bounded_normal(random, self._sizes.identity)
        expression = draw_expression(self._model, random)
        angles = draw_angles(random, self._limits)
        translation = self._placer.translation(identity, expression, angles, self._draw_placement(random))
        return np.concatenate(Coefficients(
            identity=identity, expression=expression, albedo=_bounded_normal(random, self._sizes.albedo),
            angles=angles, gamma=draw_light(random).reshape(-1), translation=translation)).astype(np.float32)

    def _draw_placement(self, random):
        if self._anywhere:
            centre = IMAGE_SIZE * random.uniform(_PHOTO_MARGIN, 1 - _PHOTO_MARGIN, 2)
            return Placement(centre, FACE_SCALE * random.uniform(*_PHOTO_FACE_SCALE))
        shift = np.clip(random.standard_normal(2), -STATISTICAL_BOUND, STATISTICAL_BOUND) * _CROP_SHIFT
        zoom = np.clip(random.standard_normal(), -STATISTICAL_BOUND, STATISTICAL_BOUND) * _CROP_ZOOM
        return Placement(PRINCIPAL_POINT + self._misplacement * shift,
                         FACE_SCALE * np.exp(self._misplacement * zoom))


class HeadPose(NamedTuple):
    """Where a head is: what occluders are put on in 3-D."""

    rotation: np.ndarray  # [3, 3], for row vectors: world = model @ rotation + translation
    translation: np.ndarray  # [3] dm

    def project(self, points):
        """Project points [..., 3] of model space into the 224 crop, [..., 2], y up."""
        world = points.dot(self.rotation) + self.translation
        return FOCAL_LENGTH * world[..., :2] / (CAMERA_DISTANCE - world[..., 2:]) + PRINCIPAL_POINT


def head_pose(angles, translation):
    """Return the :class:`HeadPose` of two parts of a coefficient vector."""
    return HeadPose(rotation_matrices(np.asarray(angles, np.float64))[0], np.asarray(translation, np.float64))


def _bounded_normal(random, count):
    return np.clip(random.standard_normal(count), -STATISTICAL_BOUND, STATISTICAL_BOUND)


_TOLERANCE = 0.01  # dm, standard deviation of the five points of a typical face: a millimetre


def typical_identity(model):
    """Return the identity around which faces are drawn, [identity] float64, in standard deviations.

    The published alignment's five points are those of the mean of BFM's scans, that is, of people. The
    model's most likely face that has these points, give or take a millimetre, is where its people are:
    near 0 for BFM itself; for the open model, whose mean was drawn by hand, people have eyes 2.5 mm
    closer to each other and noses 3 mm longer.

    Args:
        model: a ``FaceModel``.
    """
    # Where the five points are as a whole is the pose's matter: only their arrangement tells of the person.
    mean, basis, standard = (points - points.mean(axis=0) for points in (
        *(five_from_68(part, axis=0) for part in landmark_model(model)), STANDARD_POINTS_3D))
    basis = basis[..., :model.identity_basis.shape[1]].reshape(mean.size, -1)
    precision = 1 / _TOLERANCE ** 2
    return np.linalg.solve(precision * basis.T.dot(basis) + np.eye(basis.shape[1]),
                           precision * basis.T.dot((standard - mean).reshape(-1)))
