"""Inference with the coefficient network: aligned crops in, coefficients out."""

import os
from typing import Optional, Sequence, Union

import numpy as np

from checkpoints.c_net import build_c_net, digest_weights
from checkpoints.frozen_graph import evaluate_network
from checkpoints.r_net import build_r_net
from checkpoints.record import recorded_option
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.paths import NETWORK_DIR
from utils.tf_compat import inference_config, tf

SHIPPED_C_NET = os.path.join(NETWORK_DIR, "open_c_net.pb")


class CoefficientRegressor:
    """Runs R-Net from a frozen graph or a training checkpoint.

    Args:
        path: a ``.pb`` file with the tensors of the published ``FaceReconModel.pb``, or the prefix
            of a checkpoint such as ``result/NAME/iter_N.ckpt``.
        model: the ``FaceModel`` that is to decode the coefficients.
        allow_any_op: see ``checkpoints.frozen_graph.load_frozen_graph``.
        c_net: weights of the C-Net of this R-Net, or None.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model: the
            record beside the checkpoint names another one, or the numbers of coefficients differ.
    """

    def __init__(
        self,
        path: str,
        model: FaceModel,
        allow_any_op: bool = False,
        c_net: Optional[str] = None,
    ) -> None:
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._images = tf.placeholder(
                tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr"
            )
            network = build_r_net(
                path, self._images, model, allow_any_op=allow_any_op, with_maps=c_net is not None
            )
            self._coefficients = network.coefficients
            self._confidence = build_c_net(c_net, network, allow_any_op) if c_net else None
        self._identity_count = model.identity_count
        self._c_net = c_net
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

    def predict_confidence(
        self, crops: Union[np.ndarray, Sequence[np.ndarray]]
    ) -> Optional[np.ndarray]:
        """Return the confidence in each identity coefficient, [B, identities]; None without C-Net.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.

        Raises:
            InputError: C-Net cannot be evaluated, or its outputs are not plausible.
        """
        if self._confidence is None or self._c_net is None:
            return None
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        confidence = evaluate_network(
            self._session,
            self._c_net,
            self._confidence,
            {self._images: images},
            (len(images), self._identity_count),
        )
        if confidence.min() <= 0:
            raise InputError(
                "{}: gives confidences that are not positive; copy or train it again".format(
                    self._c_net
                )
            )
        return confidence

    def close(self) -> None:
        """Free the session."""
        self._session.close()


def find_shipped_c_net(weights: str) -> Optional[str]:
    """Return the path of the shipped C-Net; None if it was trained on other weights.

    Args:
        weights: path of the coefficient network in use.
    """
    if not os.path.isfile(SHIPPED_C_NET):
        return None
    digest = recorded_option(SHIPPED_C_NET, "coefficient_digest")
    return SHIPPED_C_NET if digest == digest_weights(weights) else None
