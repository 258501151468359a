"""The coefficient network at work: aligned crops in, coefficients out."""

import numpy as np

import checkpoints
import networks
from face_decoder import IMAGE_SIZE, coefficient_sizes
from tf_runtime import session_config, tf
from training.records import require_face_model
from workspace.errors import InputError


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
            self._coefficients = _build(path, self._images, model)
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


def _build(path, images, model):
    """Return the coefficient tensor of the network at ``path``."""
    sizes = coefficient_sizes(model)
    if path.endswith(".pb"):
        coefficients = checkpoints.load_frozen_graph(
            path, {checkpoints.INPUT_TENSOR: images}, [checkpoints.COEFFICIENT_TENSOR])[0]
        found = coefficients.shape.as_list()[-1:] if coefficients.shape.ndims else [None]
        _require_counts(path, model, found, [sum(sizes)])
        return coefficients
    require_face_model(path, model)
    values, counts = checkpoints.read_r_net(path)
    found = [counts[name] for name in ("identity_count", "expression_count", "albedo_count")]
    _require_counts(path, model, found, [sizes.identity, sizes.expression, sizes.albedo])
    return networks.r_net(images, training=False, frozen=networks.frozen_parameters(values), **counts).coefficients


def _require_counts(path, model, found, wanted):
    """Raise an InputError if a network gives other numbers of coefficients than a face model wants."""
    if None not in found and found != wanted:
        raise InputError("{}: gives {} coefficients but the face model {} wants {}; it was trained for another face "
                         "model, choose that with --face_model".format(
                             path, "+".join(map(str, found)), model.name, "+".join(map(str, wanted))))
