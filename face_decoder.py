"""From 257 coefficients to a posed, lit and rendered face.

The decoder of Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised
Learning" (CVPRW 2019, section 3), as pure functions that build a differentiable graph.

Conventions: lengths in decimetres; world axes x right, y up, z towards the camera, which
stands at (0, 0, 10) and looks at the origin; angles in radians. Landmarks are pixels of the
224x224 crop with **y up**; images store their top row first and are BGR, 0..255.
"""

from typing import Any, NamedTuple, Optional

import numpy as np

from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.camera import CAMERA_DISTANCE, FAR_PLANE, FOCAL_LENGTH, IMAGE_SIZE, NEAR_PLANE, project
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import light_polynomial
from mesh_renderer.linear_model import linear_model
from mesh_renderer.posed_surface import posed_surface
from mesh_renderer.render import render
from utils.tf_compat import session_config, tf


class Face(NamedTuple):
    """A decoded face, one row per image."""

    shape: Any  # [B, N, 3] vertices in model space, centred on the mean face
    world_shape: Any  # [B, N, 3] vertices in the world
    normals: Any  # [B, N, 3] unit vertex normals in the world
    albedo: Any  # [B, N, 3] RGB, 0..255 (not clipped)
    colors: Any  # [B, N, 3] RGB, albedo times light (not clipped)
    landmarks: Any  # [B, 68, 2] crop pixels, y up


class Rendering(NamedTuple):
    """A rendered batch."""

    image: Any  # [B, H, W, 3] BGR, 0 where no face is
    mask: Any  # [B, H, W, 1] 1 where any triangle covers the pixel centre
    front_mask: Any  # [B, H, W, 1] 1 where a triangle of the front region does


class Drawing(NamedTuple):
    """A batch of pictures."""

    picture: Any  # [B, H, W, 4] uint8 RGBA; zeros where no face is
    front: Any  # [B, H, W] bool, where a triangle of the front region covers the pixel centre


def decode_face(coefficients, model):
    """Build the graph from coefficients to a posed and lit face.

    Args:
        coefficients: [B, 257] float32 tensor (B may be unknown); the length follows the model.
        model: a ``FaceModel``; its arrays become constants of the graph.

    Returns:
        A :class:`Face` of float32 tensors.
    """
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    with tf.name_scope("face_decoder"):
        shape = face_shape(parts.identity, parts.expression, model)
        albedo = face_albedo(parts.albedo, model)
        rotation = rotation_matrix(parts.angles)
        surface = posed_surface(
            shape, albedo, model.triangles, model.vertex_triangles, rotation=rotation,
            translation=parts.translation, light=light_polynomial(parts.gamma))
        landmarks = project(tf.gather(surface.world, model.landmarks, axis=1))
        return Face(shape, surface.world, surface.normals, albedo, surface.colors, landmarks)


def render_face(face, model, image_size=IMAGE_SIZE):
    """Render a decoded face with its lit colours and with the mask of its front region.

    Gradients flow through the barycentric coordinates to ``face.world_shape`` and to
    ``face.colors``; visibility and the masks have none.

    Args:
        face: a :class:`Face`.
        model: the ``FaceModel`` it was decoded with.
        image_size: width and height in pixels; the focal length scales along.

    Returns:
        A :class:`Rendering`.
    """
    rendering = _render(face.world_shape, face.colors, model, image_size)
    return Rendering(tf.reverse(rendering.image, axis=[-1]), rendering.mask, rendering.front_mask)


def draw_face(face, model, image_size=IMAGE_SIZE):
    """Render a decoded face as a picture to be looked at; arguments as of :func:`render_face`, without gradients.

    Returns:
        A :class:`Drawing`.
    """
    # A fourth attribute, the same everywhere, comes out as the mask: no other pass over the pixels makes RGBA.
    opaque = tf.fill(tf.concat([tf.shape(face.colors)[:2], [1]], axis=0), 255.0)
    rendering = _render(face.world_shape, tf.concat([face.colors, opaque], axis=2), model, image_size)
    picture = tf.cast(tf.round(tf.clip_by_value(rendering.image, 0.0, 255.0)), tf.uint8)
    return Drawing(picture, rendering.front_mask[..., 0] > 0)


def _render(world_shape, attributes, model, image_size):
    """Render vertex attributes with the camera of the crops."""
    return render(
        world_shape, attributes, model.triangles, front_triangles=model.front_triangles,
        image_size=image_size, focal_length=FOCAL_LENGTH * image_size / IMAGE_SIZE,
        camera_distance=CAMERA_DISTANCE, near=NEAR_PLANE, far=FAR_PLANE)


def face_shape(identity, expression, model):
    """Return vertex positions in model space, [B, N, 3]: mean + identity + expression.

    The mean over the vertices of the mean shape is subtracted, so that the head turns
    about its middle.
    """
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    mean = model.mean_shape - model.mean_shape.mean(axis=0, keepdims=True, dtype=np.float64)
    return _linear_model(tf.concat([identity, expression], axis=1), basis, mean)


def face_albedo(albedo, model):
    """Return vertex albedo, [B, N, 3] RGB, 0..255 (not clipped)."""
    return _linear_model(albedo, model.albedo_basis, model.mean_albedo)


def _linear_model(coefficients, basis, mean):
    """Return mean + basis @ coefficients as [B, N, 3]."""
    return tf.reshape(linear_model(coefficients, basis, mean.reshape(-1)), [-1, mean.shape[0], 3])


class DecodedBatch(NamedTuple):
    """What a batch of coefficients looks like, as arrays."""

    coefficients: np.ndarray  # [B, 257]
    world_shape: np.ndarray  # [B, N, 3] dm, camera at (0, 0, 10)
    normals: np.ndarray  # [B, N, 3] unit vectors in the world
    albedo: np.ndarray  # [B, N, 3] RGB, 0..255, not clipped
    colors: np.ndarray  # [B, N, 3] RGB, albedo times light, not clipped
    landmarks: np.ndarray  # [B, 68, 2] crop pixels, y up
    rendered: np.ndarray  # [B, S, S, 4] uint8 RGBA
    front_mask: np.ndarray  # [B, S, S] bool
    overlay: Optional[np.ndarray] = None  # [B, O, O, 4] uint8 RGBA, the same in another size


class FaceDecoder:
    """Decodes and renders with one face model; keeps its graph and session.

    Attributes:
        model: the ``FaceModel``.
        graph, session: where others may add their own operations (fitting.py does).
        coefficients: placeholder [B, 257].
        face: ``face_decoder.Face`` of tensors.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model):
        self.model = model
        self.graph = tf.Graph()
        self._renderings, self._drawings = {}, {}
        with self.graph.as_default():
            self.coefficients = tf.placeholder(
                tf.float32, [None, sum(coefficient_sizes(model))], "coefficients")
            self.face = decode_face(self.coefficients, model)
        self.session = tf.Session(graph=self.graph, config=session_config())

    def rendering(self, image_size=IMAGE_SIZE):
        """Return the ``face_decoder.Rendering`` of tensors for an image size, made once."""
        if image_size not in self._renderings:
            with self.graph.as_default():
                self._renderings[image_size] = render_face(self.face, self.model, image_size)
        return self._renderings[image_size]

    def _drawing(self, image_size):
        """Return the ``face_decoder.Drawing`` of tensors for an image size, made once."""
        if image_size not in self._drawings:
            with self.graph.as_default():
                self._drawings[image_size] = draw_face(self.face, self.model, image_size)
        return self._drawings[image_size]

    def decode(self, coefficients, image_size=IMAGE_SIZE, overlay_size=None):
        """Decode and render.

        Args:
            coefficients: [B, 257].
            image_size: width and height of the rendered square.
            overlay_size: width and height of a second one, or None.

        Returns:
            A :class:`DecodedBatch`.
        """
        drawing = self._drawing(image_size)
        overlay = [self._drawing(overlay_size).picture] if overlay_size else []
        face = self.face
        values = self.session.run([face.world_shape, face.normals, face.albedo, face.colors, face.landmarks,
                                   drawing.picture, drawing.front] + overlay, {self.coefficients: coefficients})
        return DecodedBatch(np.asarray(coefficients), *values)

    def render(self, coefficients, image_size):
        """Return pictures alone, [B, S, S, 4] uint8 RGBA; arguments as in :meth:`decode`."""
        return self.session.run(self._drawing(image_size).picture, {self.coefficients: coefficients})

    def close(self):
        """Free the session."""
        self.session.close()
