"""The coefficient network at work: aligned crops in, coefficients out."""

import numpy as np

import checkpoints
import networks
from face_decoder import IMAGE_SIZE
from tf_runtime import session_config, tf
from workspace.errors import InputError


class CoefficientRegressor:
    """Runs R-Net from a frozen graph or a training checkpoint.

    Args:
        path: a ``.pb`` file with the tensors of the published ``FaceReconModel.pb``, or the prefix
            of a checkpoint such as ``result/NAME/iter_N.ckpt``.
        sizes: ``face_decoder.Coefficients`` of ints, the lengths that the face model wants.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model.
    """

    def __init__(self, path, sizes):
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], "photo_bgr")
            self._coefficients = _build(path, self._images)
        found = self._coefficients.shape.as_list()[-1]
        if found not in (None, sum(sizes)):
            raise InputError("{}: gives {} coefficients but the face model has {}; it was trained for another face "
                             "model, choose that with --face_model".format(path, found, sum(sizes)))
        self._session = tf.Session(graph=self._graph, config=session_config())

    def predict(self, crops):
        """Return coefficients, [B, 257] float32.

        Args:
            crops: [B, 224, 224, 3] uint8 RGB, aligned.
        """
        images = np.asarray(crops)[..., ::-1].astype(np.float32)
        return self._session.run(self._coefficients, {self._images: images})

    def close(self):
        """Free the session."""
        self._session.close()


def _build(path, images):
    """Return the coefficient tensor of the network at ``path``."""
    if path.endswith(".pb"):
        return checkpoints.load_frozen_graph(
            path, {checkpoints.INPUT_TENSOR: images}, [checkpoints.COEFFICIENT_TENSOR])[0]
    values, counts = checkpoints.read_r_net(path)
    return networks.r_net(images, training=False, frozen=networks.frozen_parameters(values), **counts).coefficients
