"""R-Net on disk: reading its weights, building it with them, and freezing it."""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

import networks
from checkpoints.frozen_graph import (
    COEFFICIENT_TENSOR,
    DEEP_TENSOR,
    INPUT_TENSOR,
    POOL5_TENSOR,
    SHALLOW_TENSOR,
    load_frozen_graph,
    operation_name,
    write_frozen_graph,
)
from checkpoints.record import require_face_model, trained_image_size
from checkpoints.variables import read_variables
from face_model.coefficients import coefficient_sizes
from face_model.model import FaceModel
from geometry.camera import IMAGE_SIZE
from utils.errors import InputError
from utils.tf_compat import Tensor, tf


def read_r_net(path: str) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    """Read R-Net's variables from a training checkpoint, whatever face model it was trained for.

    Args:
        path: prefix of a checkpoint, or a ``.pb`` file, see ``variables.read_variables``.

    Returns:
        (values, counts): variable name -> array, and the widths of the face-model heads as
        keyword arguments of ``networks.r_net``.

    Raises:
        InputError: the file is missing or damaged, or variables are missing or of other shapes.
    """
    values = read_variables(path, r_net_shapes())
    shapes = {name: value.shape for name, value in values.items()}
    return values, networks.coefficient_counts(shapes)


def r_net_shapes() -> Dict[str, List[Optional[int]]]:
    """Return variable name -> shape of R-Net; None where the face model decides."""
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        networks.r_net(images, training=False)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    for head in ("fc-id", "fc-ex", "fc-tex"):
        shapes[head + "/weights"][-1] = shapes[head + "/biases"][-1] = None
    return shapes


def build_r_net(
    path: str,
    images: Tensor,
    model: FaceModel,
    with_pool5: bool = False,
    allow_any_op: bool = False,
    with_maps: bool = False,
) -> networks.RNetOutput:
    """Build R-Net with its trained weights as constants of the current graph.

    Args:
        path: a ``.pb`` file with the tensors of the published ``FaceReconModel.pb``, or the prefix
            of a training checkpoint.
        images: [B, 224, 224, 3] float32 BGR, 0..255.
        model: the face model that decodes the coefficients.
        with_pool5: require the pooled features of a frozen graph; else they may be None.
        allow_any_op: see ``frozen_graph.load_frozen_graph``.
        with_maps: require the feature maps that C-Net reads.

    Raises:
        InputError: the weights are missing, damaged, or were made for another face model: the
            record beside the file names another one, or the numbers of coefficients differ.
    """
    sizes = coefficient_sizes(model)
    require_face_model(path, model)

    # 1. a frozen graph, whose numbers of coefficients are known by their sum
    if path.endswith(".pb"):
        wanted = [COEFFICIENT_TENSOR] + [POOL5_TENSOR] * with_pool5
        wanted += [SHALLOW_TENSOR, DEEP_TENSOR] * with_maps
        outputs = load_frozen_graph(path, {INPUT_TENSOR: images}, wanted, allow_any_op)
        found = outputs[0].shape.as_list()[-1:] if outputs[0].shape.ndims else [None]
        _require_counts(path, model, found, [sum(sizes)])
        maps = outputs[-2:] if with_maps else (None, None)
        return networks.RNetOutput(outputs[0], outputs[1] if with_pool5 else None, *maps)

    # 2. a checkpoint
    values, counts = read_r_net(path)
    found = [counts[name] for name in ("identity_count", "expression_count", "albedo_count")]
    _require_counts(path, model, found, [sizes.identity, sizes.expression, sizes.albedo])
    images = networks.downsample_input(images, trained_image_size(path))
    frozen = networks.frozen_parameters(values)
    return networks.r_net(images, training=False, frozen=frozen, **counts)


def export_r_net(
    checkpoint: str, path: str, image_size: int = IMAGE_SIZE, half: bool = False
) -> None:
    """Write R-Net's checkpoint as a frozen graph with the tensor names of ``FaceReconModel.pb``.

    The graph uses only operations that TensorFlow 1.12 has, whichever version writes it.

    Args:
        checkpoint: prefix of a training checkpoint.
        path: the ``.pb`` file to write.
        image_size: width and height to which the graph averages its input of 224x224 pixels.
        half: store the weights as float16, half the bytes; the graph computes in float32 still.

    Raises:
        InputError: as :func:`read_r_net`.
    """
    values, counts = read_r_net(checkpoint)
    with tf.Graph().as_default() as graph:
        # 1. the network, its inputs and outputs under the published names
        images = tf.placeholder(
            tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name=operation_name(INPUT_TENSOR)
        )
        network = networks.r_net(
            networks.downsample_input(images, image_size),
            training=False,
            frozen=networks.frozen_parameters(values, half),
            **counts,
        )
        tf.identity(network.coefficients, name=operation_name(COEFFICIENT_TENSOR))
        graph.get_tensor_by_name(POOL5_TENSOR)  # raises if networks.r_net has renamed it

        # 2. constants that only networks.unfold_batch_norm uses, to train from the graph
        for name in sorted(values):
            if "/BatchNorm/" in name:
                tf.constant(values[name], tf.float32, name=name)
        write_frozen_graph(graph, path)


def _require_counts(
    path: str, model: FaceModel, found: List[Optional[int]], wanted: List[int]
) -> None:
    """Raise an InputError if a network and a face model differ in numbers of coefficients."""
    if None not in found and found != wanted:
        raise InputError(
            "{}: gives {} coefficients but the face model {} needs {}; it was trained for another "
            "face model, choose that with --face_model".format(
                path, "+".join(map(str, found)), model.name, "+".join(map(str, wanted))
            )
        )
