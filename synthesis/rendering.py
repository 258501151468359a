"""Rendering of batches of faces: the only part of synthesis that runs in TensorFlow."""

from typing import NamedTuple

import numpy as np

from face_decoder import FaceDecoder, draw_face
from face_model import FaceModel
from utils.tf_compat import tf

BATCH_SIZE = 16  # constant: the picture of an index must not depend on its neighbors


class RenderedBatch(NamedTuple):
    """A batch of rendered faces."""

    rgba: np.ndarray  # [B, S, S, 4] uint8, black and transparent outside of the face
    landmarks: np.ndarray  # [B, 68, 2] float32 crop pixels, y up
    head_landmarks: np.ndarray  # [B, 68, 3] float32 dm, in model space
    world_landmarks: np.ndarray  # [B, 68, 3] float32 dm


class FaceRenderer:
    """Renders faces of one model at one size.

    Args:
        model: face model.
        image_size: width and height in pixels.
    """

    def __init__(self, model: FaceModel, image_size: int) -> None:
        self._decoder = FaceDecoder(model)
        face = self._decoder.face
        with self._decoder.graph.as_default():
            self._outputs = RenderedBatch(
                rgba=draw_face(face, model, image_size).picture,
                landmarks=face.landmarks,
                head_landmarks=tf.gather(face.shape, model.landmarks, axis=1),
                world_landmarks=tf.gather(face.world_shape, model.landmarks, axis=1),
            )

    def render(self, coefficients: np.ndarray) -> RenderedBatch:
        """Render the faces of coefficients [B, 257]."""
        feed = {self._decoder.coefficients: coefficients}
        return self._decoder.session.run(self._outputs, feed)
