"""C-Net on disk: building it with its trained weights, and freezing it."""

import glob
import hashlib
from typing import Dict, List, Mapping, Optional

import numpy as np

import networks
from checkpoints.frozen_graph import (
    CONFIDENCE_TENSOR,
    DEEP_INPUT_TENSOR,
    SHALLOW_INPUT_TENSOR,
    load_frozen_graph,
    operation_name,
    write_frozen_graph,
)
from checkpoints.record import recorded_option
from checkpoints.variables import read_variables
from utils.errors import InputError
from utils.tf_compat import Tensor, tf

_CHUNK = 1 << 20  # bytes read at once


def build_c_net(path: str, maps: networks.RNetOutput, allow_any_op: bool = False) -> Tensor:
    """Build C-Net with its trained weights as constants of the current graph.

    Args:
        path: a ``.pb`` file of :func:`export_c_net`, or the prefix of a training checkpoint.
        maps: output of the R-Net that it was trained on, with feature maps.
        allow_any_op: see ``frozen_graph.load_frozen_graph``.

    Returns:
        Confidences [B, identities].

    Raises:
        InputError: the weights are missing or damaged.
    """
    if path.endswith(".pb"):
        inputs = {SHALLOW_INPUT_TENSOR: maps.shallow, DEEP_INPUT_TENSOR: maps.deep}
        return load_frozen_graph(path, inputs, [CONFIDENCE_TENSOR], allow_any_op)[0]
    values = read_variables(path, c_net_shapes())
    return networks.c_net(
        maps.shallow,
        maps.deep,
        training=False,
        identity_count=_identity_count(values),
        frozen=networks.frozen_parameters(values),
    )


def export_c_net(checkpoint: str, path: str, half: bool = False) -> None:
    """Write a checkpoint of C-Net as a frozen graph: two feature maps to ``confidence:0``.

    Args:
        checkpoint: prefix of a training checkpoint.
        path: the ``.pb`` file to write.
        half: store the weights as float16, half the bytes; the graph computes in float32 still.

    Raises:
        InputError: the file is missing or damaged, or variables are missing or of other shapes.
    """
    values = read_variables(checkpoint, c_net_shapes())
    with tf.Graph().as_default() as graph:
        confidence = networks.c_net(
            *_placeholders(),
            training=False,
            identity_count=_identity_count(values),
            frozen=networks.frozen_parameters(values, half),
        )
        tf.identity(confidence, operation_name(CONFIDENCE_TENSOR))
        write_frozen_graph(graph, path)


def c_net_shapes() -> Dict[str, List[Optional[int]]]:
    """Return variable name -> shape of C-Net; None where the face model decides."""
    with tf.Graph().as_default():
        networks.c_net(*_placeholders(), training=False)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    for name in ("weights", "biases"):
        shapes["{}/confidence/{}".format(networks.C_NET_SCOPE, name)][-1] = None
    return shapes


def digest_weights(path: str) -> str:
    """Return a digest of a coefficient network, which the record of its C-Net names.

    Args:
        path: a ``.pb`` file, or the prefix of a checkpoint.
    """
    digest = hashlib.sha256()
    names = [path]
    if not path.endswith(".pb"):
        names = sorted(glob.glob(glob.escape(path) + ".data-*"))
    for name in names:
        with open(name, "rb") as file:
            for piece in iter(lambda: file.read(_CHUNK), b""):
                digest.update(piece)
    return digest.hexdigest()


def require_c_net_of(path: str, coefficient_weights: str) -> None:
    """Raise an InputError unless a C-Net was trained on a coefficient network.

    Args:
        path: C-Net, a ``.pb`` file or the prefix of a checkpoint.
        coefficient_weights: the coefficient network, likewise.
    """
    if recorded_option(path, "coefficient_digest") != digest_weights(coefficient_weights):
        raise InputError(
            "{}: was trained on another coefficient network than {}, or has lost its record; train "
            "it with train.py --model c_net --coefficient_weights {}".format(
                path, coefficient_weights, coefficient_weights
            )
        )


def _placeholders() -> List[Tensor]:
    return [
        tf.placeholder(tf.float32, [None, None, None, width], operation_name(name))
        for width, name in (
            (networks.SHALLOW_WIDTH, SHALLOW_INPUT_TENSOR),
            (networks.DEEP_WIDTH, DEEP_INPUT_TENSOR),
        )
    ]


def _identity_count(values: Mapping[str, np.ndarray]) -> int:
    return int(values[networks.C_NET_SCOPE + "/confidence/biases"].shape[0])
