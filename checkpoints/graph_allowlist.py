"""The allowlist of frozen graphs: operations without side effects, constants of bounded size.

A graph is a program, and TensorFlow's operations can read and write files. A graph from a stranger
may contain only the operations of networks for faces: arithmetic without side effects, loops and
functions of its own. It may still compute for long, or compute nonsense.
"""

from typing import Any, Mapping, Optional

import numpy as np

from utils.errors import InputError, join_first
from utils.tf_compat import tf

# Operations used by the published networks (including FaceNet) and by r_net.export_r_net,
# and closely related ones.
# fmt: off
OPERATIONS = frozenset((
    "Placeholder", "PlaceholderWithDefault", "Const", "Identity", "NoOp", "StopGradient", "Switch",
    "Merge", "Conv2D", "DepthwiseConv2dNative", "MatMul", "BiasAdd", "FusedBatchNorm",
    "FusedBatchNormV2", "FusedBatchNormV3", "MaxPool", "AvgPool", "LRN", "Relu", "Relu6",
    "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softmax", "Softplus", "Add", "AddV2", "AddN", "Sub",
    "Mul", "RealDiv", "Div", "Maximum", "Minimum", "Neg", "Abs", "Square", "SquaredDifference",
    "Sqrt", "Rsqrt", "Reciprocal", "Exp", "Log", "Pow", "Floor", "FloorDiv", "FloorMod", "Mean",
    "Sum", "Max", "Min", "Prod", "ArgMax", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual",
    "LogicalAnd", "LogicalOr", "LogicalNot", "Select", "Pad", "PadV2", "MirrorPad", "Concat",
    "ConcatV2", "Reshape", "Squeeze", "ExpandDims", "Transpose", "Pack", "Unpack", "Split",
    "SplitV", "Slice", "StridedSlice", "Shape", "Cast", "ReverseV2", "Gather", "GatherV2",
    "ResizeBilinear", "ResizeNearestNeighbor", "RandomUniform"))
# fmt: on

# Operation -> number of the input whose values decide the size of its result.
_SIZE_INPUTS = {
    "Pad": 1,
    "PadV2": 1,
    "MirrorPad": 1,
    "ResizeBilinear": 1,
    "ResizeNearestNeighbor": 1,
}
_MAX_IMAGE_SIDE = 4096  # pixels
MAX_CONSTANT_BYTES = 1 << 30  # all constants together; FaceNet, the largest network, has 90 MB
MAX_FILE_SIZE = (1 << 31) - 1  # the limit of protocol buffers
_MAX_NAMES = 5  # in a message

TRUST_GRAPH_HELP = (
    "import frozen graphs with any operations, which can then do whatever you can; by default only "
    "those that networks for faces need"
)


def require_constants(path: str, graph_def: Any) -> None:
    """Raise an InputError if a graph's constants are damaged or exceed :data:`MAX_CONSTANT_BYTES`.

    Args:
        path: the graph's file, for the message.
        graph_def: a ``tf.GraphDef``.
    """
    total = 0
    for node in graph_def.node:
        if node.op != "Const":
            continue
        size = _constant_bytes(node.attr["value"].tensor)
        if size is None:
            raise InputError(
                "{}: the constant {} is damaged; copy or download the graph again".format(
                    path, node.name
                )
            )
        total += size
    if total > MAX_CONSTANT_BYTES:
        raise InputError(
            "{}: its constants would take {} MiB, more than any network here; give the graph this "
            "network is published as".format(path, total >> 20)
        )


def require_allowed(path: str, graph_def: Any) -> None:
    """Raise an InputError unless a graph consists of :data:`OPERATIONS` with results of known size.

    Args:
        path: the graph's file, for the message.
        graph_def: a ``tf.GraphDef``.
    """
    # 1. no other operations
    foreign = sorted({node.op for node in graph_def.node} - OPERATIONS)
    if graph_def.library.function:
        foreign.append("functions of its own")
    if foreign:
        raise InputError(
            "{}: refused, because it contains operations that networks for faces do not need ({}); "
            "if you know who made it, --trust_graph imports it all the same".format(
                path, join_first(foreign, _MAX_NAMES)
            )
        )

    # 2. no images of unlimited size
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op in _SIZE_INPUTS and not _is_small(node, nodes):
            raise InputError(
                "{}: refused, because {} makes an image of unknown or unusual size; if you know "
                "who made the graph, --trust_graph imports it all the same".format(path, node.name)
            )


def _constant_bytes(tensor: Any) -> Optional[int]:
    """Return the number of bytes of a ``TensorProto``'s values; None if it is damaged."""
    size = 1
    for dimension in tensor.tensor_shape.dim:
        if dimension.size < 0:
            return None
        size *= dimension.size
    try:
        kind = tf.as_dtype(tensor.dtype)
    except TypeError:
        return None
    return size * (kind.size or 1)


def _is_small(node: Any, nodes: Mapping[str, Any]) -> bool:
    """Return True if the input that decides a result's size is a constant of small numbers."""
    # 1. the constant, behind any number of Identity operations
    position = _SIZE_INPUTS[node.op]
    source = nodes.get(_node_name(node.input[position])) if len(node.input) > position else None
    for _ in range(len(nodes)):
        if source is None or source.op != "Identity" or not source.input:
            break
        source = nodes.get(_node_name(source.input[0]))
    if source is None or source.op != "Const":
        return False

    # 2. its values
    try:
        values = tf.make_ndarray(source.attr["value"].tensor).astype(np.int64)
    except (TypeError, ValueError):
        return False
    return bool(np.all(np.abs(values) <= _MAX_IMAGE_SIDE))


def _node_name(tensor_name: str) -> str:
    return tensor_name.split(":")[0]
