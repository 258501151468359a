"""The face decoder as a running session: coefficients in, arrays out."""

from typing import NamedTuple

import numpy as np

from face_decoder import IMAGE_SIZE, coefficient_sizes, decode_face, render_face
from tf_runtime import session_config, tf


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


class FaceGraph:
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
        self._renderings = {}
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

    def decode(self, coefficients, image_size=IMAGE_SIZE):
        """Decode and render.

        Args:
            coefficients: [B, 257].
            image_size: width and height of the rendered square.

        Returns:
            A :class:`DecodedBatch`.
        """
        rendering = self.rendering(image_size)
        face, image, mask, front = self.session.run(
            [self.face, rendering.image, rendering.mask, rendering.front_mask], {self.coefficients: coefficients})
        return DecodedBatch(np.asarray(coefficients), face.world_shape, face.normals, face.albedo, face.colors,
                            face.landmarks, rgba(image, mask), front[..., 0] > 0)

    def render(self, coefficients, image_size):
        """Return pictures alone, [B, S, S, 4] uint8 RGBA; arguments as in :meth:`decode`."""
        rendering = self.rendering(image_size)
        return rgba(*self.session.run([rendering.image, rendering.mask], {self.coefficients: coefficients}))

    def close(self):
        """Free the session."""
        self.session.close()


def rgba(image_bgr, mask):
    """Return uint8 RGBA from a rendering's float BGR and 0..1 mask."""
    rgb = np.clip(np.rint(image_bgr[..., ::-1]), 0, 255)
    return np.concatenate([rgb, 255 * mask], axis=-1).astype(np.uint8)
