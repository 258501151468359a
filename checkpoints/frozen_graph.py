"""Frozen graphs (.pb files): reading, checking, importing and evaluating them."""

import os

import numpy as np

from checkpoints.graph_allowlist import MAX_FILE_SIZE, require_constants, require_harmless
from utils.errors import InputError
from utils.numpy_files import all_within
from utils.tf_compat import tf

# Tensors of the published FaceReconModel.pb.
INPUT_TENSOR = "input_imgs:0"
COEFFICIENT_TENSOR = "coeff:0"
POOL5_TENSOR = "resnet_v1_50/pool5:0"
_LARGEST_ANSWER = 1e6  # of a network: more than any coefficient or pixel, and little enough to calculate with


def read_graph_def(path):
    """Read a frozen graph.

    Args:
        path: a ``.pb`` file.

    Returns:
        A ``tf.GraphDef``.

    Raises:
        InputError: the file is missing, or not a graph.
    """
    if not os.path.isfile(path):
        raise InputError("{}: no such file; put the frozen network there or give its path".format(path))
    graph_def = tf.GraphDef()
    try:
        if os.path.getsize(path) > MAX_FILE_SIZE:
            raise ValueError("larger than any graph")
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
    except OSError as error:
        raise InputError("{}: cannot be read ({}); check its permissions".format(path, error.strerror)) from None
    except Exception:  # protobuf's DecodeError lives in another module in each of its versions
        raise InputError("{}: not a frozen TensorFlow graph; copy or download it again".format(path)) from None
    if not graph_def.node:
        raise InputError("{}: a graph without operations; copy or download it again".format(path))
    require_constants(path, graph_def)
    return graph_def


def load_frozen_graph(path, inputs, outputs):
    """Import a frozen graph into the current graph.

    Args:
        path: a ``.pb`` file.
        inputs: name of a tensor in the file (such as ``input_imgs:0``) -> the tensor to put in its place.
        outputs: names of the tensors to return.

    Returns:
        The output tensors, in the order of ``outputs``. Gradients flow through them.

    Raises:
        InputError: the file is missing or damaged, needs another TensorFlow, lacks a tensor, or holds
            operations beyond those of ``graph_safety``.
    """
    graph_def = read_graph_def(path)
    require_harmless(path, graph_def)
    for node in graph_def.node:
        node.device = ""  # of the machine where it was made
    known = {node.name for node in graph_def.node}
    missing = [name for name in list(inputs) + list(outputs) if name.split(":")[0] not in known]
    if missing:
        raise InputError("{}: the graph has no tensor {}; give the graph this network is published as".format(
            path, shortened(missing)))
    try:
        return tf.import_graph_def(graph_def, input_map=dict(inputs), return_elements=list(outputs),
                                   name=os.path.splitext(os.path.basename(path))[0])
    except Exception as error:  # what TensorFlow raises differs from version to version
        raise InputError("{}: TensorFlow {} cannot use this graph ({})".format(
            path, tf.VERSION, str(error).splitlines()[0])) from None


def evaluate(session, path, output, feeds, shape):
    """Evaluate an output of a network that came from a file.

    Args:
        session: of the network's graph.
        path: the file, for messages.
        output: the tensor.
        feeds: placeholder -> array.
        shape: of the result, whatever the network's arrangement of the same numbers.

    Returns:
        An array of that shape, of numbers of a size that coefficients or pixels have.

    Raises:
        InputError: the network cannot be evaluated, or gives something else.
    """
    try:
        values = np.asarray(session.run(output, feeds))
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise InputError("{}: the network cannot be evaluated ({}); copy or download it again".format(
            path, str(error).splitlines()[0])) from None
    if values.dtype.kind != "f" or values.size != int(np.prod(shape)) or not all_within(values, _LARGEST_ANSWER):
        raise InputError("{}: the network does not give {} plausible numbers; copy or download it again".format(
            path, " x ".join(str(size) for size in shape)))
    return values.reshape(shape)


_NAMES_TOLD = 3  # how many missing names a message lists before it only counts


def shortened(names):
    """Join the first few names, and count the rest."""
    told = ", ".join(names[:_NAMES_TOLD])
    return told if len(names) <= _NAMES_TOLD else "{} and {} more".format(told, len(names) - _NAMES_TOLD)
