"""Photos of people from outside the face model, with everything that made them."""

import os
from typing import Iterator, List, NamedTuple

import numpy as np
from PIL import Image

from alignment.align import FACE_SCALE
from benchmarks.people_models import Population
from face_decoder import FaceDecoder, draw_face
from face_model.coefficients import STATISTICAL_BOUND, Coefficients, coefficient_sizes
from geometry.camera import CAMERA_DISTANCE, IMAGE_SIZE
from synthesis.crop_placement import CropTransform, TranslationSolver
from synthesis.degradation import degrade
from synthesis.expressions import sample_expression
from synthesis.lighting import sample_light
from synthesis.pose import HeadPose, head_pose
from synthesis.scene import SceneOptions, compose
from utils.atomic import atomic_path
from utils.photos import Photo
from utils.tf_compat import tf

_SIZE = 448  # pixels of a photo
_SCALES = (0.5, 0.75)  # of a face, relative to the aligned crop's
_MARGIN = 0.42  # least distance of a face's center from the edges, in sides of the photo
_PITCH_SPREAD, _ROLL_SPREAD = np.radians(8), np.radians(8)
_SCENE = SceneOptions(occluders=0.0)
_BATCH = 8


class PeopleOptions(NamedTuple):
    """The settings of a run."""

    count: int  # people
    views: int  # photos of each
    seed: int
    max_yaw: float  # degrees
    distance: float = 1.0  # of the camera, relative to that of the crops, 10 dm; same picture size


class PersonPhoto(NamedTuple):
    """One photo of one person."""

    person: int
    photo: Photo
    identity: np.ndarray  # [identities] of the population
    yaw: float  # degrees
    landmarks: np.ndarray  # [68, 2] pixels of the photo, y down


class PeoplePainter:
    """Draws the photos of a population.

    Args:
        population: the people.
        options: settings of the run.
    """

    def __init__(self, population: Population, options: PeopleOptions) -> None:
        self._population = population
        self._options = options
        self._sizes = coefficient_sizes(population.model)
        self._solver = TranslationSolver(population.model)
        self._decoder = FaceDecoder(population.model)
        face = self._decoder.face
        with self._decoder.graph.as_default():
            seen = face._replace(world_shape=_seen_from(face.world_shape, options.distance))
            world = tf.gather(seen.world_shape, population.model.landmarks, axis=1)
            self._outputs = (
                draw_face(seen, population.model, _SIZE).picture,
                tf.gather(face.shape, population.model.landmarks, axis=1),
                world,
            )

    def sample_identity(self, person: int) -> np.ndarray:
        """Return the identity of a person, [identities]."""
        random = np.random.RandomState([self._options.seed, person])
        return self._population.mean_identity + _sample_bounded(random, self._sizes.identity)

    def paint(self, folder: str) -> Iterator[PersonPhoto]:
        """Draw all photos into a folder; yield them person by person."""
        indices = [
            (person, view)
            for person in range(self._options.count)
            for view in range(self._options.views)
        ]
        for begin in range(0, len(indices), _BATCH):
            batch = indices[begin : begin + _BATCH]
            coefficients = [self._sample(person, view) for person, view in batch]
            rows = np.array([np.concatenate(parts) for parts in coefficients], np.float32)
            drawn = self._decoder.session.run(self._outputs, {self._decoder.coefficients: rows})
            for i, (person, view) in enumerate(batch):
                path = os.path.join(folder, "person{:03d}_{}.png".format(person, view))
                picture = self._compose(person, view, coefficients[i], drawn[0][i], drawn[1][i])
                with atomic_path(path) as temporary, open(temporary, "wb") as file:
                    Image.fromarray(picture).save(file, "PNG")
                yield PersonPhoto(
                    person,
                    Photo(path, os.path.splitext(os.path.basename(path))[0]),
                    coefficients[i].identity,
                    float(np.degrees(coefficients[i].angles[1])),
                    _photo_pixels(drawn[2][i]),
                )

    def _sample(self, person: int, view: int) -> Coefficients:
        """Sample expression, albedo, pose, light and place of a photo."""
        identity = self.sample_identity(person)
        own = np.random.RandomState([self._options.seed, person, 1])
        albedo = _sample_bounded(own, self._sizes.albedo)
        random = np.random.RandomState([self._options.seed, person, 2, view])
        expression = sample_expression(self._population.model, random)
        limit = np.radians(self._options.max_yaw)
        angles = np.array(
            [
                _PITCH_SPREAD * _sample_bounded(random, 1)[0],
                random.uniform(-limit, limit),
                _ROLL_SPREAD * _sample_bounded(random, 1)[0],
            ]
        )
        center = IMAGE_SIZE * random.uniform(_MARGIN, 1 - _MARGIN, 2)
        transform = CropTransform(center, FACE_SCALE * random.uniform(*_SCALES))
        return Coefficients(
            identity=identity,
            expression=expression,
            albedo=albedo,
            angles=angles,
            gamma=sample_light(random).reshape(-1),
            translation=self._solver.solve(identity, expression, angles, transform),
        )

    def _compose(
        self,
        person: int,
        view: int,
        coefficients: Coefficients,
        rgba: np.ndarray,
        head_landmarks: np.ndarray,
    ) -> np.ndarray:
        """Compose a drawn face into a scene, and degrade the picture."""
        random = np.random.RandomState([self._options.seed, person, 3, view])
        pose = head_pose(coefficients.angles, coefficients.translation)
        pose = _DistantPose(pose.rotation, pose.translation)
        pose.distance = self._options.distance
        canvas = compose(random, rgba, pose, head_landmarks, coefficients.gamma, _SCENE)
        degrade(random, canvas, strength=1.0)
        return canvas.picture


class _DistantPose(HeadPose):
    """A head pose seen by a camera at another distance.

    Attributes:
        distance: of the camera, relative to the usual one.
    """

    distance = 1.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points of model space into the crop, as ``HeadPose`` does."""
        still = HeadPose(np.eye(3), np.zeros(3))
        world = points.dot(self.rotation) + self.translation
        return still.project(_seen_from(world, self.distance))


def _seen_from(world: np.ndarray, distance: float) -> np.ndarray:
    """Return the points that the usual camera sees where one at another distance sees others.

    The other camera has a longer lens in proportion, so that the origin keeps its size.

    Args:
        world: [..., 3] dm.
        distance: relative to the usual one.
    """
    depth = CAMERA_DISTANCE - world[..., 2:]
    share = distance * depth / (depth + (distance - 1.0) * CAMERA_DISTANCE)
    if distance == 1.0:
        return world
    if isinstance(world, np.ndarray):
        return np.concatenate([world[..., :2] * share, world[..., 2:]], axis=-1)
    return tf.concat([world[..., :2] * share, world[..., 2:]], axis=-1)


def _photo_pixels(world: np.ndarray) -> np.ndarray:
    """Return the pixels of a photo of points [..., 3] that the usual camera sees, y down."""
    crop = HeadPose(np.eye(3), np.zeros(3)).project(np.asarray(world, np.float64))
    return (crop * [1, -1] + [0, IMAGE_SIZE]) * (_SIZE / IMAGE_SIZE)


def _sample_bounded(random: np.random.RandomState, count: int) -> np.ndarray:
    return np.clip(random.standard_normal(count), -STATISTICAL_BOUND, STATISTICAL_BOUND)


def contact_sheet(photos: List[str], columns: int, side: int) -> np.ndarray:
    """Return small versions of photos in rows, [H, W, 3] uint8."""
    from utils.drawing import tile_pictures

    pictures = [Image.open(path).convert("RGB").resize((side, side)) for path in photos]
    return tile_pictures(pictures, columns)
