"""R-Net on disk: reading its weights, building it with them, and freezing it."""

import numpy as np

import networks
from checkpoints.frozen_graph import COEFFICIENT_TENSOR, INPUT_TENSOR, POOL5_TENSOR, load_frozen_graph
from checkpoints.record import require_face_model, trained_image_size
from checkpoints.variables import read_variables
from face_model.coefficients import coefficient_sizes
from geometry.camera import IMAGE_SIZE
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.tf_compat import tf


def read_r_net(path):
    """Read R-Net's variables from a training checkpoint, whatever face model it was trained for.

    Args:
        path: as in :func:`read_variables`.

    Returns:
        (values, counts): variable name -> array, and the widths of the face-model heads as
        keyword arguments of ``networks.r_net``.

    Raises:
        InputError: as :func:`read_variables`.
    """
    values = read_variables(path, r_net_shapes())
    return values, networks.coefficient_counts({name: value.shape for name, value in values.items()})


def r_net_shapes():
    """Return variable name -> shape of R-Net; None where the face model decides."""
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3])
        networks.r_net(images, training=False)
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    for head in ("fc-id", "fc-ex", "fc-tex"):
        shapes[head + "/weights"][-1] = shapes[head + "/biases"][-1] = None
    return shapes


def export_r_net(checkpoint, path, image_size=IMAGE_SIZE, half=False):
    """Write R-Net's checkpoint as a frozen graph with the tensor names of ``FaceReconModel.pb``.

    The graph uses only operations that TensorFlow 1.12 knows, whichever version writes it.

    Args:
        checkpoint: prefix of a training checkpoint.
        path: the ``.pb`` file to write.
        image_size: to which the graph averages its input of 224x224 pixels first.
        half: store the weights as float16, half the bytes; the graph computes in float32 all the same.

    Raises:
        InputError: as :func:`read_r_net`.
    """
    values, counts = read_r_net(checkpoint)
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, [None, IMAGE_SIZE, IMAGE_SIZE, 3], name=_operation(INPUT_TENSOR))
        network = networks.r_net(networks.downsample_input(images, image_size), training=False,
                                 frozen=networks.frozen_parameters(values, half), **counts)
        tf.identity(network.coefficients, name=_operation(COEFFICIENT_TENSOR))
        for name in sorted(values):  # not used by the graph; with them it can be trained on, see networks.unfold_batch_norm
            if "/BatchNorm/" in name:
                tf.constant(values[name], tf.float32, name=name)
        graph.get_tensor_by_name(POOL5_TENSOR)  # its name is part of the format
        graph_def = _portable_graph_def(graph)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(graph_def.SerializeToString(deterministic=True))


def _portable_graph_def(graph):
    """Return the graph in terms of operations and attributes that TensorFlow 1.12 knows."""
    graph_def = tf.train.export_meta_graph(graph=graph, strip_default_attrs=True).graph_def
    for node in graph_def.node:
        if node.op == "AddV2":  # differs from Add only in refusing strings
            node.op = "Add"
        elif node.op == "Const":
            _pack_half_values(node.attr["value"].tensor)
    return graph_def


def _pack_half_values(tensor):
    """Store float16 values as bytes: TensorFlow 1.12 writes a number of up to three bytes for each."""
    if len(tensor.half_val) > 1:
        tensor.tensor_content = np.fromiter(tensor.half_val, np.uint16, len(tensor.half_val)).tobytes()
        del tensor.half_val[:]


def _operation(tensor_name):
    return tensor_name.split(":")[0]


def coefficient_network(path, images, model, with_pool5=False):
    """Build R-Net with its trained weights as constants of the current graph.

    Args:
        path: as of :class:`CoefficientRegressor`.
        images: [B, 224, 224, 3] float32 BGR, 0..255.
        model: the ``FaceModel`` that is to decode the coefficients.
        with_pool5: whether a frozen graph must give the pooled features too; else they may be None.

    Returns:
        A ``networks.RNetOutput``.

    Raises:
        InputError: as of :class:`CoefficientRegressor`.
    """
    sizes = coefficient_sizes(model)
    require_face_model(path, model)
    if path.endswith(".pb"):
        wanted = [COEFFICIENT_TENSOR] + [POOL5_TENSOR] * with_pool5
        outputs = load_frozen_graph(path, {INPUT_TENSOR: images}, wanted)
        found = outputs[0].shape.as_list()[-1:] if outputs[0].shape.ndims else [None]
        _require_counts(path, model, found, [sum(sizes)])
        return networks.RNetOutput(outputs[0], outputs[1] if with_pool5 else None)
    values, counts = read_r_net(path)
    found = [counts[name] for name in ("identity_count", "expression_count", "albedo_count")]
    _require_counts(path, model, found, [sizes.identity, sizes.expression, sizes.albedo])
    images = networks.downsample_input(images, trained_image_size(path))
    return networks.r_net(images, training=False, frozen=networks.frozen_parameters(values), **counts)


def _require_counts(path, model, found, wanted):
    """Raise an InputError if a network gives other numbers of coefficients than a face model wants."""
    if None not in found and found != wanted:
        raise InputError("{}: gives {} coefficients but the face model {} wants {}; it was trained for another face "
                         "model, choose that with --face_model".format(
                             path, "+".join(map(str, found)), model.name, "+".join(map(str, wanted))))
