"""A contact sheet of a face model: the mean face, its regions, random people, every expression."""

import math

import numpy as np
from PIL import Image, ImageDraw

from geometry.normals import surface_normals
from mesh_renderer.render import render
from utils.atomic import atomic_path
from utils.drawing import draw_points, tile_pictures
from utils.tf_compat import tf

# The published system's camera: focal length over image width, distance in dm.
_FOCAL_LENGTH, _CAMERA_DISTANCE, _NEAR, _FAR = 1015.0 / 224.0, 10.0, 0.01, 50.0
_LIGHT, _AMBIENT = np.array([0.17, 0.31, 0.93]), 0.45
_BACKGROUND = 128  # gray level
_SUPERSAMPLING = 2
_WIDTH = 1600  # of the sheet, pixels
_SEED = 7
_RANDOM_STRENGTH = 0.8  # standard deviations: BFM's authors draw likewise to avoid caricatures


def write_preview(model, path):
    """Draw a ``FaceModel`` and write the picture.

    Args:
        model: the model.
        path: the image file to write.
    """
    rows = [_mean_faces(model, Camera(model, _WIDTH // 4)), _regions(model, Camera(model, _WIDTH // 4)),
            _random_people(model, Camera(model, _WIDTH // 8), 24, 8),
            _expressions(model, Camera(model, _WIDTH // 10), 10)]
    sheet = np.concatenate(rows, axis=0)
    with atomic_path(path) as temporary:
        Image.fromarray(sheet).save(temporary)


class Camera:
    """Renders vertex colours of one model at one size, with TensorFlow.

    Args:
        model: a ``FaceModel``.
        size: width and height of the pictures, pixels.
    """

    def __init__(self, model, size):
        self.size = size
        self._graph = tf.Graph()
        pixels = size * _SUPERSAMPLING
        with self._graph.as_default():
            self._vertices = tf.placeholder(tf.float32, [1, model.vertex_count, 3])
            self._colours = tf.placeholder(tf.float32, [1, model.vertex_count, 3])
            self._rendering = render(
                self._vertices, self._colours, model.triangles, image_size=pixels,
                focal_length=_FOCAL_LENGTH * pixels, camera_distance=_CAMERA_DISTANCE, near=_NEAR, far=_FAR)
        self._session = tf.Session(graph=self._graph)
        self._triangles = model.triangles

    def __call__(self, shape, colour, yaw=0.0, lit=True):
        """Return a picture [size, size, 3] uint8 of vertices [N, 3] turned by ``yaw`` degrees."""
        angle = math.radians(yaw)
        turned = shape.dot(np.array([[math.cos(angle), 0, -math.sin(angle)], [0, 1, 0],
                                     [math.sin(angle), 0, math.cos(angle)]]))
        if lit:
            facing = np.maximum(surface_normals(turned, self._triangles).dot(_LIGHT), 0.0)
            colour = colour * (_AMBIENT + (1 - _AMBIENT) * facing)[:, None]
        image, mask = self._session.run(
            (self._rendering.image, self._rendering.mask),
            {self._vertices: turned[None], self._colours: np.clip(colour, 0, 255)[None]})
        image = image[0] + (1 - mask[0]) * _BACKGROUND
        image = image.reshape(self.size, _SUPERSAMPLING, self.size, _SUPERSAMPLING, 3).mean(axis=(1, 3))
        return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def _centred(model):
    return model.mean_shape - model.mean_shape.mean(axis=0)


def person(model, identity=None, expression=None, albedo=None):
    """Return (shape [N, 3] in dm, centred on the mean; albedo [N, 3], 0..255) of coefficients; None is the mean."""
    shape, colour = _centred(model).astype(np.float64), model.mean_albedo.astype(np.float64)
    for basis, coefficients in ((model.identity_basis, identity), (model.expression_basis, expression)):
        if coefficients is not None:
            shape = shape + basis.dot(coefficients.astype(np.float32)).reshape(-1, 3)
    if albedo is not None:
        colour = colour + model.albedo_basis.dot(albedo.astype(np.float32)).reshape(-1, 3)
    return shape, colour


def _mean_faces(model, camera):
    return np.concatenate([camera(*person(model), yaw=yaw) for yaw in (0, 30, 60, 90)], axis=1)


def _regions(model, camera):
    """Landmarks; the front region and the skin mask; the sheer albedo; a profile with landmarks."""
    shape, colour = person(model)
    grey = np.full_like(colour, 205.0)
    front = np.zeros(len(shape))
    front[model.front_vertices] = 1.0
    masks = np.stack([60 + 150 * front, np.full(len(shape), 90.0), 60 + 180.0 * model.skin_mask], axis=1)
    return np.concatenate([
        _with_landmarks(model, camera(shape, grey), 0.0), _with_landmarks(model, camera(shape, grey, yaw=60), 60.0),
        camera(shape, masks), camera(shape, colour, lit=False)], axis=1)


def _with_landmarks(model, picture, yaw):
    angle = math.radians(yaw)
    x, y, z = _centred(model)[model.landmarks].astype(np.float64).T
    x, z = x * math.cos(angle) + z * math.sin(angle), z * math.cos(angle) - x * math.sin(angle)
    size = picture.shape[0]
    columns = size * (0.5 + _FOCAL_LENGTH * x / (_CAMERA_DISTANCE - z))
    rows = size * (0.5 - _FOCAL_LENGTH * y / (_CAMERA_DISTANCE - z))
    image = Image.fromarray(picture)
    draw_points(image, np.stack([columns, rows], axis=1), (0, 160, 0), radius=2)
    return np.asarray(image)


def _random_people(model, camera, count, columns):
    random = np.random.RandomState(_SEED)
    pictures = [camera(*person(model, _RANDOM_STRENGTH * random.normal(size=model.identity_count), None,
                                _RANDOM_STRENGTH * random.normal(size=model.albedo_count)),
                       yaw=random.uniform(-25, 25)) for _ in range(count)]
    return tile_pictures(pictures, columns, _BACKGROUND)


def _expressions(model, camera, columns):
    """Draw every expression component at full strength, ``mouthClose`` with the open jaw it belongs to."""
    pictures = []
    for k in range(model.expression_count):
        name = model.expression_names[k] if k < len(model.expression_names) else str(k + 1)
        weights = np.zeros(model.expression_count)
        weights[k] = 1.0
        if name == "mouthClose":
            weights[model.expression_names.index("jawOpen")] = 1.0
        image = Image.fromarray(camera(*person(model, None, weights)))
        ImageDraw.Draw(image).text((3, 3), name, fill=(255, 255, 255))
        pictures.append(np.asarray(image))
    return tile_pictures(pictures, columns, _BACKGROUND)
