"""The coefficient network at work: aligned crops in, coefficients out."""

import os

import numpy as np

import checkpoints
import networks
from face_decoder import IMAGE_SIZE, coefficient_sizes
from tf_runtime import inference_config, tf
from training.records import counts_as_bfm09s, is_for_face_model, require_face_model, trained_image_size
from workspace.errors import InputError
from workspace.paths import NETWORK_DIR

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
        return checkpoints.evaluate(
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
    missing = not os.path.isfile(path) and not checkpoints.checkpoint_exists(path)
    if missing or not counts_as_bfm09s(path, model):
        return None
    return ("{}: no record beside it says which face model it was trained for; a published network was trained for "
            "BFM09, and its faces come out wrong in {}".format(path, model.name))


def coefficient_network(path, images, model, with_pool5=False):
    """Build R-Net with its trained weights as constants of the current graph.

    Args:
        path: as of :class:`CoefficientRegressor`.
        images: [B, 224, 224, 3] float32 BGR, 0..255.
        model: the ``FaceModel`` that is to decode the coefficients.
        with_pool5: whether a frozen graph must give the pooled features too; else they may be None.

    Returns:
        A ``networks.CoefficientNetwork``.

    Raises:
        InputError: as of :class:`CoefficientRegressor`.
    """
    sizes = coefficient_sizes(model)
    require_face_model(path, model)
    if path.endswith(".pb"):
        wanted = [checkpoints.COEFFICIENT_TENSOR] + [checkpoints.POOL5_TENSOR] * with_pool5
        outputs = checkpoints.load_frozen_graph(path, {checkpoints.INPUT_TENSOR: images}, wanted)
        found = outputs[0].shape.as_list()[-1:] if outputs[0].shape.ndims else [None]
        _require_counts(path, model, found, [sum(sizes)])
        return networks.CoefficientNetwork(outputs[0], outputs[1] if with_pool5 else None)
    values, counts = checkpoints.read_r_net(path)
    found = [counts[name] for name in ("identity_count", "expression_count", "albedo_count")]
    _require_counts(path, model, found, [sizes.identity, sizes.expression, sizes.albedo])
    images = networks.area_average(images, trained_image_size(path))
    return networks.r_net(images, training=False, frozen=networks.frozen_parameters(values), **counts)


def _require_counts(path, model, found, wanted):
    """Raise an InputError if a network gives other numbers of coefficients than a face model wants."""
    if None not in found and found != wanted:
        raise InputError("{}: gives {} coefficients but the face model {} wants {}; it was trained for another face "
                         "model, choose that with --face_model".format(
                             path, "+".join(map(str, found)), model.name, "+".join(map(str, wanted))))
