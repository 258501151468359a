"""The face decoder as a running session: coefficients in, arrays out."""

from typing import NamedTuple, Optional

import numpy as np

from face_decoder import IMAGE_SIZE, coefficient_sizes, decode_face, draw_face, render_face
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
    overlay: Optional[np.ndarray] = None  # [B, O, O, 4] uint8 RGBA, the same in another size


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
