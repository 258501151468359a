"""Inference with the coefficient network: aligned crops in, coefficients out."""

from typing import Sequence, Union

import numpy as np

from checkpoints.frozen_graph import evaluate_network
from checkpoints.r_net import build_r_net
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from utils.tf_compat import inference_config, tf


class CoefficientRegressor:
    """Runs R-Net from a frozen graph or a training checkpoint.

    Args:
        path: a ``.pb`` file with the tensors of the published ``FaceReconModel.pb``, or the prefix
            of a checkpoint such as ``result/NAME/iter_N.ckpt``.
        model: the ``FaceModel`` that is to decode the coefficients.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model: the
            record beside the checkpoint names another one, or the numbers of coefficients differ.
    """

    def __init__(self, path: str, model: FaceModel, allow_any_op: bool = False) -> None:
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._images = tf.placeholder(
                tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr"
            )
            self._coefficients = build_r_net(
                path, self._images, model, allow_any_op=allow_any_op
            ).coefficients
        self._count = sum(coefficient_sizes(model))
        self._path = path
        self._session = tf.Session(graph=self._graph, config=inference_config())

    def predict(self, crops: Union[np.ndarray, Sequence[np.ndarray]]) -> np.ndarray:
        """Return coefficients, [B, 257] float32.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.

        Raises:
            InputError: the network cannot be evaluated, or its outputs are not plausible.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        return evaluate_network(
            self._session,
            self._path,
            self._coefficients,
            {self._images: images},
            (len(images), self._count),
        )

    def close(self) -> None:
        """Free the session."""
        self._session.close()
