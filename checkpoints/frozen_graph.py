"""Frozen graphs (.pb files): reading, checking, importing and evaluating them."""

import os
from typing import Any, List, Mapping, Sequence

import numpy as np

from checkpoints.graph_allowlist import MAX_FILE_SIZE, require_allowed, require_constants
from utils.atomic import atomic_path
from utils.errors import InputError, first_line, join_first
from utils.numpy_files import all_within
from utils.tf_compat import Tensor, tf

# Tensors of the published FaceReconModel.pb.
INPUT_TENSOR = "input_imgs:0"
COEFFICIENT_TENSOR = "coeff:0"
POOL5_TENSOR = "resnet_v1_50/pool5:0"
# Feature maps inside of it, as Slim names the last unit of a block.
SHALLOW_TENSOR = "resnet_v1_50/block1/unit_3/bottleneck_v1/Relu:0"
DEEP_TENSOR = "resnet_v1_50/block4/unit_3/bottleneck_v1/Relu:0"
# Inputs and output of a frozen C-Net, which is this project's own.
SHALLOW_INPUT_TENSOR, DEEP_INPUT_TENSOR = "shallow_map:0", "deep_map:0"
CONFIDENCE_TENSOR = "confidence:0"
# Tensors of the published landmark68_detector.pb, and one more of this project's.
LANDMARK_TENSOR = "landmark:0"
LOG_NOISE_TENSOR = "log_noise:0"
# Bound of a network's outputs: above any coefficient or pixel, and safe to compute with.
_MAX_OUTPUT = 1e6


def read_graph_def(path: str) -> Any:
    """Read a frozen graph.

    Args:
        path: a ``.pb`` file.

    Returns:
        A ``tf.GraphDef``.

    Raises:
        InputError: the file is missing, or not a graph.
    """
    if not os.path.isfile(path):
        raise InputError(
            "{}: no such file; put the frozen network there or give its path".format(path)
        )
    graph_def = tf.GraphDef()
    try:
        if os.path.getsize(path) > MAX_FILE_SIZE:
            raise ValueError("larger than any graph")
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
    except OSError as error:
        raise InputError(
            "{}: cannot be read ({}); check its permissions".format(path, error.strerror)
        ) from None
    except Exception:  # the module of protobuf's DecodeError differs between its versions
        raise InputError(
            "{}: not a frozen TensorFlow graph; copy or download it again".format(path)
        ) from None
    if not graph_def.node:
        raise InputError("{}: a graph without operations; copy or download it again".format(path))
    require_constants(path, graph_def)
    return graph_def


def load_frozen_graph(
    path: str, inputs: Mapping[str, Tensor], outputs: Sequence[str], allow_any_op: bool = False
) -> List[Tensor]:
    """Import a frozen graph into the current graph.

    Args:
        path: a ``.pb`` file.
        inputs: name of a tensor in the file (such as ``input_imgs:0``) -> its replacement.
        outputs: names of the tensors to return.
        allow_any_op: import operations beyond ``graph_allowlist.OPERATIONS`` too; only for files
            of known origin.

    Returns:
        The output tensors, in the order of ``outputs``. Gradients flow through them.

    Raises:
        InputError: the file is missing or damaged, needs another TensorFlow, lacks a tensor, or
            contains operations that are not allowed.
    """
    # 1. read and check
    graph_def = read_graph_def(path)
    if not allow_any_op:
        require_allowed(path, graph_def)
    names = {node.name for node in graph_def.node}
    wanted = list(inputs) + list(outputs)
    missing = [name for name in wanted if operation_name(name) not in names]
    if missing:
        raise InputError(
            "{}: the graph has no tensor {}; give the graph this network is published as".format(
                path, join_first(missing)
            )
        )

    # 2. import
    for node in graph_def.node:
        node.device = ""  # devices of the machine that wrote the file
    try:
        return tf.import_graph_def(
            graph_def,
            input_map=dict(inputs),
            return_elements=list(outputs),
            name=os.path.splitext(os.path.basename(path))[0],
        )
    except Exception as error:  # its type differs between versions of TensorFlow
        raise InputError(
            "{}: TensorFlow {} cannot use this graph ({})".format(
                path, tf.VERSION, first_line(error)
            )
        ) from None


def operation_name(tensor_name: str) -> str:
    """Return the name of the operation that computes a tensor: ``coeff`` of ``coeff:0``."""
    return tensor_name.split(":")[0]


def evaluate_network(
    session: Any,
    path: str,
    output: Tensor,
    feeds: Mapping[Tensor, np.ndarray],
    shape: Sequence[int],
) -> np.ndarray:
    """Evaluate an output of a network that was read from a file.

    Args:
        session: session of the network's graph.
        path: the file, for messages.
        output: the tensor.
        feeds: placeholder -> array.
        shape: shape of the result; the tensor may arrange the same numbers otherwise.

    Returns:
        An array of that shape; its numbers are within +-1e6.

    Raises:
        InputError: the network cannot be evaluated, or its output has another number of values,
            or values out of bounds.
    """
    try:
        values = np.asarray(session.run(output, feeds))
    except (tf.errors.OpError, TypeError, ValueError) as error:
        raise InputError(
            "{}: the network cannot be evaluated ({}); copy or download it again".format(
                path, first_line(error)
            )
        ) from None
    is_plausible = (
        values.dtype.kind == "f"
        and values.size == int(np.prod(shape))
        and all_within(values, _MAX_OUTPUT)
    )
    if not is_plausible:
        raise InputError(
            "{}: the network does not give {} plausible numbers; copy or download it again".format(
                path, " x ".join(str(size) for size in shape)
            )
        )
    return values.reshape(shape)


def write_frozen_graph(graph: Any, path: str) -> None:
    """Write a graph of constants, in terms of operations and attributes that TensorFlow 1.12 has.

    Args:
        graph: a ``tf.Graph``.
        path: the ``.pb`` file to write.
    """
    graph_def = _portable_graph_def(graph)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            file.write(graph_def.SerializeToString(deterministic=True))


def _portable_graph_def(graph: Any) -> Any:
    """Return a graph in terms of operations and attributes that TensorFlow 1.12 has."""
    graph_def = tf.train.export_meta_graph(graph=graph, strip_default_attrs=True).graph_def
    for node in graph_def.node:
        if node.op == "AddV2":  # differs from Add only in refusing strings
            node.op = "Add"
        elif node.op == "Const":
            _pack_half_values(node.attr["value"].tensor)
    return graph_def


def _pack_half_values(tensor: Any) -> None:
    """Store float16 values as two bytes each: TensorFlow 1.12 writes numbers of up to three."""
    if len(tensor.half_val) > 1:
        values = np.fromiter(tensor.half_val, np.uint16, len(tensor.half_val))
        tensor.tensor_content = values.tobytes()
        del tensor.half_val[:]
