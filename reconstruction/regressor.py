"""The coefficient network at work: aligned crops in, coefficients out."""

import os

import numpy as np

from checkpoints.frozen_graph import evaluate
from checkpoints.r_net import coefficient_network
from checkpoints.record import counts_as_bfm09s, is_for_face_model
from checkpoints.variables import checkpoint_exists
from face_model.coefficients import coefficient_sizes
from geometry.camera import IMAGE_SIZE
from utils.paths import NETWORK_DIR
from utils.tf_compat import inference_config, tf

FROZEN_NETWORK = os.path.join(NETWORK_DIR, "FaceReconModel.pb")  # where users put the published one
SHIPPED_NETWORK = os.path.join(NETWORK_DIR, "open_face_model_r_net.pb")


class CoefficientRegressor:
    """Runs R-Net from a frozen graph or a training checkpoint.

    Args:
        path: a ``.pb`` file with the tensors of the published ``FaceReconModel.pb``, or the prefix
            of a checkpoint such as ``result/NAME/iter_N.ckpt``.
        model: the ``FaceModel`` that is to decode the coefficients.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model: the record
            beside the checkpoint names another, or the numbers of coefficients differ.
    """

    def __init__(self, path, model):
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr")
            self._coefficients = coefficient_network(path, self._images, model).coefficients
        self._count = sum(coefficient_sizes(model))
        self._path = path
        self._session = tf.Session(graph=self._graph, config=inference_config())

    def predict(self, crops):
        """Return coefficients, [B, 257] float32.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.

        Raises:
            InputError: the network cannot be evaluated, or gives something else.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        return evaluate(
            self._session, self._path, self._coefficients, {self._images: images}, (len(images), self._count))

    def close(self):
        """Free the session."""
        self._session.close()


def shipped_network(model, path=SHIPPED_NETWORK):
    """Return the path of the network that comes along, or None if it is not there or is another face model's.

    Args:
        model: the ``FaceModel`` that is to decode the coefficients.
        path: of the frozen graph; the record beside it names the face model it was trained for.
    """
    if not os.path.isfile(path):
        return None
    return path if is_for_face_model(path, model) else None


def frozen_network(path, model):
    """Return the path of the network that the user put in its place, and what there is to say of it.

    Args:
        path: of the frozen graph; without a record beside it, it counts as BFM09's.
        model: the ``FaceModel`` that is to decode the coefficients.

    Returns:
        (path, sentence): either may be None.
    """
    if not os.path.isfile(path):
        return None, None
    if not counts_as_bfm09s(path, model):
        return path, None
    return None, ("{}: the network of this name is for BFM09, and the face model is {}: it is left aside; one of your "
                  "own needs the record that python -m checkpoints writes beside it".format(path, model.name))


def named_network_notice(path, model):
    """Return what there is to say of a network that the user named, or None.

    Args:
        path: as of :class:`CoefficientRegressor`.
        model: the ``FaceModel`` that is to decode the coefficients.
    """
    missing = not os.path.isfile(path) and not checkpoint_exists(path)
    if missing or not counts_as_bfm09s(path, model):
        return None
    return ("{}: no record beside it says which face model it was trained for; a published network was trained for "
            "BFM09, and its faces come out wrong in {}".format(path, model.name))
