"""Random faces: identity, expression, albedo, pose and light, as coefficient vectors.

Every face has random numbers of its own, determined by the seed and its index, so that face 17 of
a run does not depend on the other faces.
"""

from typing import Optional

import numpy as np

from alignment.align import FACE_SCALE
from face_model import FaceModel
from face_model.coefficients import STATISTICAL_BOUND, Coefficients, coefficient_sizes
from face_model.landmark_basis import landmark_model
from geometry.camera import IMAGE_SIZE, PRINCIPAL_POINT
from geometry.landmark_layout import STANDARD_POINTS_3D, five_from_68
from synthesis.crop_placement import CropTransform, TranslationSolver
from synthesis.expressions import sample_expression
from synthesis.lighting import sample_light
from synthesis.pose import PoseLimits, sample_angles

_COEFFICIENT_STREAM, _PICTURE_STREAM, _PERSON_STREAM = 0, 1, 2

# Crop jitter: the errors of a usual detector.
_CROP_SHIFT = 4.0  # pixels, standard deviation
_CROP_ZOOM = 0.04  # standard deviation of the logarithm of the scale

_PHOTO_FACE_SCALE = (0.62, 0.98)  # of the face in a photo, relative to the crop's
_PHOTO_MARGIN = 0.3  # least distance of a face's center from the edges, in sides of the photo

_TOLERANCE = 0.01  # dm, standard deviation of the five points of a typical face: a millimeter


def make_random_state(seed: int, index: int, picture: bool = False) -> np.random.RandomState:
    """Create the random number generator of a face.

    Args:
        seed: seed of the data set.
        index: index of the face.
        picture: True for its picture, False for its coefficients.
    """
    stream = _PICTURE_STREAM if picture else _COEFFICIENT_STREAM
    return np.random.RandomState([seed, index, stream])


class FaceSampler:
    """Samples the faces of a data set.

    Args:
        model: face model.
        seed: seed of the random numbers.
        limits: the largest angles.
        anywhere: False places a face as in its 224x224 crop, up to the jitter; True places it
            anywhere in a square photo.
        crop_jitter: misplacement of the crops; 1 as by a usual detector, 0 exact.
        photos_per_person: number n of consecutive faces with the same identity and albedo: faces
            0 to n - 1 are the first person.
    """

    def __init__(
        self,
        model: FaceModel,
        seed: int,
        limits: Optional[PoseLimits] = None,
        anywhere: bool = False,
        crop_jitter: float = 1.0,
        photos_per_person: int = 1,
    ) -> None:
        self._model = model
        self._seed = seed
        self._limits = limits or PoseLimits()
        self._anywhere = anywhere
        self._crop_jitter = crop_jitter
        self._photos_per_person = photos_per_person
        self._sizes = coefficient_sizes(model)
        self._solver = TranslationSolver(model)
        self._typical_identity = typical_identity(model)

    def sample(self, index: int) -> np.ndarray:
        """Sample the coefficients of face ``index``, [257] float32."""
        random = make_random_state(self._seed, index)
        of_person = random
        if self._photos_per_person > 1:
            person = index // self._photos_per_person
            of_person = np.random.RandomState([self._seed, person, _PERSON_STREAM])
        identity = self._typical_identity + _sample_bounded(of_person, self._sizes.identity)
        expression = sample_expression(self._model, random)
        angles = sample_angles(random, self._limits)
        transform = self._sample_transform(random)
        coefficients = Coefficients(
            identity=identity,
            expression=expression,
            albedo=_sample_bounded(of_person, self._sizes.albedo),
            angles=angles,
            gamma=sample_light(random).reshape(-1),
            translation=self._solver.solve(identity, expression, angles, transform),
        )
        return np.concatenate(coefficients).astype(np.float32)

    def _sample_transform(self, random: np.random.RandomState) -> CropTransform:
        """Sample the place and size of a face."""
        if self._anywhere:
            center = IMAGE_SIZE * random.uniform(_PHOTO_MARGIN, 1 - _PHOTO_MARGIN, 2)
            return CropTransform(center, FACE_SCALE * random.uniform(*_PHOTO_FACE_SCALE))
        shift = _sample_bounded(random, 2) * _CROP_SHIFT
        zoom = _sample_bounded(random) * _CROP_ZOOM
        return CropTransform(
            center=PRINCIPAL_POINT + self._crop_jitter * shift,
            scale=float(FACE_SCALE * np.exp(self._crop_jitter * zoom)),
        )


def _sample_bounded(random: np.random.RandomState, count: Optional[int] = None) -> np.ndarray:
    """Sample normal numbers, clipped at 3 standard deviations; one number if no count is given."""
    return np.clip(random.standard_normal(count), -STATISTICAL_BOUND, STATISTICAL_BOUND)


def typical_identity(model: FaceModel) -> np.ndarray:
    """Return the mean identity of sampled faces, [identities] float64, in standard deviations.

    It is the model's most likely face that has the published alignment's five points, up to a
    millimeter; these are the mean points of BFM's scans of people. The result is near 0 for BFM
    itself; in the open model, whose mean was drawn by hand, people have eyes 2.5 mm closer to each
    other and noses 3 mm longer.

    Args:
        model: face model.
    """
    # 1. Five points relative to their mean: the position of all five belongs to the pose.
    mean, basis = (five_from_68(part, axis=0) for part in landmark_model(model))
    difference = _center(STANDARD_POINTS_3D) - _center(mean)
    basis = _center(basis)[..., : model.identity_count].reshape(mean.size, -1)

    # 2. Most likely identity: least squares with a unit normal prior.
    precision = 1 / _TOLERANCE**2
    return np.linalg.solve(
        precision * basis.T.dot(basis) + np.eye(basis.shape[1]),
        precision * basis.T.dot(difference.reshape(-1)),
    )


def _center(points: np.ndarray) -> np.ndarray:
    """Subtract the mean over the first axis."""
    return points - points.mean(axis=0)
