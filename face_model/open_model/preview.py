"""A contact sheet of a face model: the mean face, its regions, random people, every expression."""

import math
from typing import List, Optional, Tuple

import numpy as np
from PIL import Image, ImageDraw

from face_model.model import FaceModel
from geometry.camera import (
    CAMERA_DISTANCE,
    FAR_PLANE,
    FOCAL_LENGTH,
    IMAGE_SIZE,
    NEAR_PLANE,
    project_to_image,
)
from geometry.normals import surface_normals
from geometry.rotation import rotation_with_derivatives
from mesh_renderer.render import render
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.tf_compat import tf

_LIGHT, _AMBIENT = np.array([0.17, 0.31, 0.93]), 0.45
_BACKGROUND = 128  # gray level
_SUPERSAMPLING = 2
_WIDTH = 1600  # of the sheet, pixels
_SEED = 7
# Standard deviations of random people; below 1 against caricatures, as BFM's authors draw them.
_RANDOM_STRENGTH = 0.8


def write_preview(model: FaceModel, path: str) -> None:
    """Draw a ``FaceModel`` and write the picture.

    Args:
        model: the model.
        path: the image file to write.
    """
    large = PreviewRenderer(model, _WIDTH // 4)
    rows = [
        _draw_mean_faces(model, large),
        _draw_regions(model, large),
        _draw_random_people(model, PreviewRenderer(model, _WIDTH // 8), 24, 8),
        _draw_expressions(model, PreviewRenderer(model, _WIDTH // 10), 10),
    ]
    sheet = np.concatenate(rows, axis=0)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary)


class PreviewRenderer:
    """Renders vertex colors of one model at one size.

    Args:
        model: a ``FaceModel``.
        size: width and height of the pictures, pixels.
    """

    def __init__(self, model: FaceModel, size: int) -> None:
        self.size = size
        self._triangles = model.triangles
        self._graph = tf.Graph()
        pixels = size * _SUPERSAMPLING
        with self._graph.as_default():
            self._vertices = tf.placeholder(tf.float32, [1, model.vertex_count, 3])
            self._colors = tf.placeholder(tf.float32, [1, model.vertex_count, 3])
            self._rendering = render(
                self._vertices,
                self._colors,
                model.triangles,
                image_size=pixels,
                focal_length=FOCAL_LENGTH / IMAGE_SIZE * pixels,
                camera_distance=CAMERA_DISTANCE,
                near=NEAR_PLANE,
                far=FAR_PLANE,
            )
        self._session = tf.Session(graph=self._graph)

    def __call__(
        self, shape: np.ndarray, colors: np.ndarray, yaw: float = 0.0, lit: bool = True
    ) -> np.ndarray:
        """Render a shape.

        Args:
            shape: [N, 3] vertices, dm.
            colors: [N, 3] RGB, 0..255.
            yaw: rotation about the vertical axis, degrees.
            lit: shade the colors.

        Returns:
            [size, size, 3] uint8 RGB.
        """
        turned = shape.dot(_yaw_matrix(yaw))
        if lit:
            facing = np.maximum(surface_normals(turned, self._triangles).dot(_LIGHT), 0.0)
            colors = colors * (_AMBIENT + (1 - _AMBIENT) * facing)[:, None]
        image, mask = self._session.run(
            (self._rendering.image, self._rendering.mask),
            {self._vertices: turned[None], self._colors: np.clip(colors, 0, 255)[None]},
        )
        image = image[0] + (1 - mask[0]) * _BACKGROUND
        cells = (self.size, _SUPERSAMPLING, self.size, _SUPERSAMPLING, 3)
        return np.clip(image.reshape(cells).mean(axis=(1, 3)) + 0.5, 0, 255).astype(np.uint8)


def _yaw_matrix(yaw: float) -> np.ndarray:
    return rotation_with_derivatives(np.array([0.0, math.radians(yaw), 0.0]))[0]


def _centered(model: FaceModel) -> np.ndarray:
    return model.mean_shape - model.mean_shape.mean(axis=0)


def decode_person(
    model: FaceModel,
    identity: Optional[np.ndarray] = None,
    expression: Optional[np.ndarray] = None,
    albedo: Optional[np.ndarray] = None,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return shape and albedo of a person; coefficients of None give the mean.

    Args:
        model: a ``FaceModel``.
        identity: [identities] or None.
        expression: [expressions] or None.
        albedo: [albedos] or None.

    Returns:
        shape [N, 3] in dm, centered on the mean; albedo [N, 3] RGB, 0..255.
    """
    shape = _centered(model).astype(np.float64)
    colors = model.mean_albedo.astype(np.float64)
    for basis, coefficients in (
        (model.identity_basis, identity),
        (model.expression_basis, expression),
    ):
        if coefficients is not None:
            shape = shape + basis.dot(coefficients.astype(np.float32)).reshape(-1, 3)
    if albedo is not None:
        colors = colors + model.albedo_basis.dot(albedo.astype(np.float32)).reshape(-1, 3)
    return shape, colors


def _draw_mean_faces(model: FaceModel, renderer: PreviewRenderer) -> np.ndarray:
    shape, colors = decode_person(model)
    return np.concatenate([renderer(shape, colors, yaw=yaw) for yaw in (0, 30, 60, 90)], axis=1)


def _draw_regions(model: FaceModel, renderer: PreviewRenderer) -> np.ndarray:
    """Draw landmarks from two sides; the front region and the skin mask; the unlit albedo."""
    shape, colors = decode_person(model)
    gray = np.full_like(colors, 205.0)
    front = np.zeros(len(shape))
    front[model.front_vertices] = 1.0
    masks = np.stack(
        [60 + 150 * front, np.full(len(shape), 90.0), 60 + 180.0 * model.skin_mask], axis=1
    )
    pictures = [
        _with_landmarks(model, renderer(shape, gray), 0.0),
        _with_landmarks(model, renderer(shape, gray, yaw=60), 60.0),
        renderer(shape, masks),
        renderer(shape, colors, lit=False),
    ]
    return np.concatenate(pictures, axis=1)


def _with_landmarks(model: FaceModel, picture: np.ndarray, yaw: float) -> np.ndarray:
    """Return a picture of the mean face with its landmarks."""
    landmarks = _centered(model)[model.landmarks].astype(np.float64).dot(_yaw_matrix(yaw))
    image = Image.fromarray(picture)
    draw_points(image, project_to_image(landmarks, len(picture)), color=(0, 160, 0), radius=2)
    return np.asarray(image)


def _draw_random_people(
    model: FaceModel, renderer: PreviewRenderer, count: int, columns: int
) -> np.ndarray:
    random = np.random.RandomState(_SEED)
    pictures = []
    for _ in range(count):
        identity = _RANDOM_STRENGTH * random.normal(size=model.identity_count)
        albedo = _RANDOM_STRENGTH * random.normal(size=model.albedo_count)
        shape, colors = decode_person(model, identity, None, albedo)
        pictures.append(renderer(shape, colors, yaw=random.uniform(-25, 25)))
    return tile_pictures(pictures, columns, _BACKGROUND)


def _draw_expressions(model: FaceModel, renderer: PreviewRenderer, columns: int) -> np.ndarray:
    """Draw every expression component at full strength, ``mouthClose`` with ``jawOpen``."""
    pictures: List[np.ndarray] = []
    for k in range(model.expression_count):
        name = model.expression_names[k] if k < len(model.expression_names) else str(k + 1)
        weights = np.zeros(model.expression_count)
        weights[k] = 1.0
        if name == "mouthClose":
            weights[model.expression_names.index("jawOpen")] = 1.0
        image = Image.fromarray(renderer(*decode_person(model, None, weights)))
        ImageDraw.Draw(image).text((3, 3), name, fill=(255, 255, 255))
        pictures.append(np.asarray(image))
    return tile_pictures(pictures, columns, _BACKGROUND)
