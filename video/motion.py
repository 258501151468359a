"""The motion of one person through a clip: place, pose, expression and light in each frame.

Places are kept in the picture of the clip rather than in crops, whose windows change from frame to
frame: the position of the head's origin in pixels, and its size in pixels per decimeter.
"""

from typing import NamedTuple, Tuple

import numpy as np

from alignment.align import (
    Alignment,
    align,
    crop_to_photo_matrix,
    locate_crop,
    upright_angle,
)
from alignment.landmark_confidence import LEAST_TRUST
from face_model.coefficients import (
    Coefficients,
    expression_bounds,
)
from face_model.landmark_basis import landmark_model
from face_model.model import FaceModel
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, PRINCIPAL_POINT, flip_y, project
from geometry.camera_matrices import photo_camera
from geometry.landmark_layout import five_from_68
from geometry.rotation import euler_angles, rotation_with_derivatives
from video.smoothing import smooth_rotations, smooth_series

# Cutoff in Hz and least noise of each kind of series; see smoothing.py. Noise above the least is
# measured in the series itself.
_ROTATION = (2.0, np.radians(0.1))
_POSITION = (2.0, 0.001)  # of the head's position, in its size
_SIZE = (1.0, 0.0005)  # of the logarithm of the size
_EXPRESSION = (2.5, 0.01)
_LIGHT = (0.5, 0.003)


class Motion(NamedTuple):
    """A person in T frames. Pixels of the frames, y down with integers at pixel centers."""

    frames: np.ndarray  # [T] int, rising
    seconds: np.ndarray  # [T]
    segments: np.ndarray  # [T] int, of the continuous parts of the motion
    confidence: np.ndarray  # [T] 0..1
    rotation: np.ndarray  # [T, 3, 3] of the head in the upright picture, for column vectors
    position: np.ndarray  # [T, 2] pixels, of the origin of the face model
    size: np.ndarray  # [T] pixels per dm, at the origin
    expression: np.ndarray  # [T, expressions]
    light: np.ndarray  # [T, 27]
    trust: np.ndarray  # [T] 0..1, in the place of the face

    @property
    def is_doubtful(self) -> np.ndarray:
        """Whether too little of the face is seen for its place to be sure, [T] bool."""
        return self.trust < LEAST_TRUST


class Person(NamedTuple):
    """A person of a clip."""

    name: str  # stem of the output files
    identity: np.ndarray  # [identities]
    albedo: np.ndarray  # [albedos]
    motion: Motion


class Placement(NamedTuple):
    """A person's crop of one frame, and the coefficients in it."""

    alignment: Alignment
    five_points: np.ndarray  # [5, 2] photo pixels, y down
    coefficients: np.ndarray  # [257] float32
    trust: float  # 0..1, in the place of the face


def leave_crop(
    matrix: np.ndarray, angles: np.ndarray, translation: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, float]:
    """Convert a pose in a crop to one in the picture.

    Args:
        matrix: [2, 3] affine, crop pixels to picture pixels, both y down.
        angles: [3] radians.
        translation: [3] dm.

    Returns:
        Rotation [3, 3], position [2] and size, as in :class:`Motion`.
    """
    in_crop = flip_y(project(np.asarray(translation, np.float64)))
    position = matrix[:, :2].dot(in_crop) + matrix[:, 2]
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    size = scale * FOCAL_LENGTH / (CAMERA_DISTANCE - translation[2])
    return _roll(matrix).dot(rotation_with_derivatives(angles)[0].T), position, float(size)


def enter_crop(
    matrix: np.ndarray, rotation: np.ndarray, position: np.ndarray, size: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Convert a pose in the picture to one in a crop; inverts :func:`leave_crop`.

    Returns:
        Angles [3], radians, and translation [3], dm.
    """
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    depth = scale * FOCAL_LENGTH / size
    in_crop = flip_y(np.linalg.solve(matrix[:, :2], np.asarray(position) - matrix[:, 2]))
    across = (in_crop - PRINCIPAL_POINT) * depth / FOCAL_LENGTH
    turn = _roll(matrix).T.dot(rotation)
    return euler_angles(turn), np.append(across, CAMERA_DISTANCE - depth)


def _roll(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation [3, 3] from the axes of a crop's camera to those of the picture."""
    return photo_camera(matrix, 1, 1).view_opengl[:3, :3]


def smooth_motion(motion: Motion, model: FaceModel) -> Motion:
    """Return a motion smoothed over time without lag, each continuous part for itself.

    Args:
        motion: a :class:`Motion`.
        model: the ``FaceModel``, for the bounds of the expression.
    """
    parts = []
    for segment in np.unique(motion.segments):
        some = motion.segments == segment
        parts.append(_smooth_segment(Motion(*(column[some] for column in motion)), model))
    return Motion(*(np.concatenate(columns) for columns in zip(*parts)))


def _smooth_segment(motion: Motion, model: FaceModel) -> Motion:
    seconds, weights = motion.seconds, motion.confidence
    lower, upper = expression_bounds(model)
    typical = float(np.median(motion.size))  # pixels per dm: the unit of positions
    expression = smooth_series(seconds, motion.expression, *_EXPRESSION, weights)
    log_size = smooth_series(seconds, np.log(motion.size)[:, np.newaxis], *_SIZE, weights)
    position = smooth_series(seconds, motion.position / typical, *_POSITION, weights)
    return motion._replace(
        rotation=smooth_rotations(seconds, motion.rotation, *_ROTATION, weights),
        position=typical * position,
        size=np.exp(log_size[:, 0]),
        expression=np.clip(expression, lower, upper),
        light=smooth_series(seconds, motion.light, *_LIGHT, weights),
    )


class Placer:
    """Places a person in frames.

    Args:
        model: a ``FaceModel``.
        person: a :class:`Person`.
    """

    def __init__(self, model: FaceModel, person: Person) -> None:
        self._person = person
        mean, basis = landmark_model(model)
        count = model.identity_count
        self._five = five_from_68(mean + basis[..., :count].dot(person.identity), axis=0)
        self._basis = five_from_68(basis[..., count:], axis=0)

    def place(self, pixels: np.ndarray, row: int, with_crop: bool = True) -> Placement:
        """Return the :class:`Placement` in a frame.

        Args:
            pixels: [H, W, 3] uint8 RGB, the frame.
            row: of the motion.
            with_crop: cut out the crop; otherwise it is empty.
        """
        # 1. the five points of the face in the picture
        motion = self._person.motion
        rotation, position, size = motion.rotation[row], motion.position[row], motion.size[row]
        shape = self._five + self._basis.dot(motion.expression[row])
        world = shape.dot(rotation.T)
        # As near the camera as an average head is in a crop.
        across = size * world[:, :2] * CAMERA_DISTANCE / (CAMERA_DISTANCE - world[:, 2:])
        five_points = position + across * [1, -1]

        # 2. the crop that they define, and the pose in it
        degrees = upright_angle(five_points)
        if with_crop:
            alignment = align(pixels, five_points, degrees)
        else:
            alignment = locate_crop(pixels.shape, five_points, degrees)
        matrix = crop_to_photo_matrix(alignment.trans_params, alignment.degrees)
        angles, translation = enter_crop(matrix, rotation, position, size)
        parts = Coefficients(
            self._person.identity,
            motion.expression[row],
            self._person.albedo,
            angles,
            motion.light[row],
            translation,
        )
        coefficients = np.concatenate(parts).astype(np.float32)
        return Placement(alignment, five_points, coefficients, float(motion.trust[row]))
