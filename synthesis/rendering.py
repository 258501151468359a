"""Batches of faces as pictures: the one part of synthesis that runs in TensorFlow."""

from typing import NamedTuple

import numpy as np

from face_decoder import FaceDecoder, draw_face
from utils.tf_compat import tf

BATCH_SIZE = 16  # always: what an index looks like must not depend on its neighbours


class RenderedFaces(NamedTuple):
    """A batch of rendered faces."""

    rgba: np.ndarray  # [B, S, S, 4] uint8, black and transparent where no face is
    landmarks: np.ndarray  # [B, 68, 2] float32 crop pixels, y up
    head_landmarks: np.ndarray  # [B, 68, 3] float32 dm, in model space
    world_landmarks: np.ndarray  # [B, 68, 3] float32 dm


class FaceRenderer:
    """Renders faces of one model at one size.

    Args:
        model: a ``FaceModel``.
        image_size: width and height in pixels.
    """

    def __init__(self, model, image_size):
        self._graph = FaceDecoder(model)
        face = self._graph.face
        with self._graph.graph.as_default():
            self._outputs = RenderedFaces(
                draw_face(face, model, image_size).picture, face.landmarks,
                tf.gather(face.shape, model.landmarks, axis=1), tf.gather(face.world_shape, model.landmarks, axis=1))

    def render(self, coefficients):
        """Return the :class:`RenderedFaces` of coefficients [B, 257]."""
        return self._graph.session.run(self._outputs, {self._graph.coefficients: coefficients})
