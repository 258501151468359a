"""Which frozen graphs may run: a graph is a program, and TensorFlow's operations can read and write files.

A graph from a stranger may hold only the operations that networks of this kind are made of: arithmetic
without side effects, without loops and without functions of its own. What it may still do is to compute
for long, or something useless.
"""

import numpy as np

from utils.errors import InputError
from utils.tf_compat import tf

# What the published networks, FaceNet's among them, and checkpoints.export_r_net use, and the like of it.
OPERATIONS = frozenset((
    "Placeholder", "PlaceholderWithDefault", "Const", "Identity", "NoOp", "StopGradient", "Switch", "Merge",
    "Conv2D", "DepthwiseConv2dNative", "MatMul", "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3",
    "MaxPool", "AvgPool", "LRN", "Relu", "Relu6", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softmax", "Softplus",
    "Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "Neg", "Abs", "Square",
    "SquaredDifference", "Sqrt", "Rsqrt", "Reciprocal", "Exp", "Log", "Pow", "Floor", "FloorDiv", "FloorMod",
    "Mean", "Sum", "Max", "Min", "Prod", "ArgMax", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual",
    "LogicalAnd", "LogicalOr", "LogicalNot", "Select", "Pad", "PadV2", "MirrorPad", "Concat", "ConcatV2", "Reshape",
    "Squeeze", "ExpandDims", "Transpose", "Pack", "Unpack", "Split", "SplitV", "Slice", "StridedSlice", "Shape",
    "Cast", "ReverseV2", "Gather", "GatherV2", "ResizeBilinear", "ResizeNearestNeighbor", "RandomUniform"))

# Operations whose result is as large as numbers among their inputs say, and which input that is.
_SIZED = {"Pad": 1, "PadV2": 1, "MirrorPad": 1, "ResizeBilinear": 1, "ResizeNearestNeighbor": 1}
_LARGEST_SIZE = 4096  # pixels
MAX_CONSTANT_BYTES = 1 << 30  # of all constants; FaceNet, the largest of these networks, has 90 MB
MAX_FILE_SIZE = (1 << 31) - 1  # what protocol buffers can hold
_NAMES_TOLD = 5


TRUST_GRAPH_HELP = ("take frozen graphs with any operations, which can then do whatever you can; else only with those "
                    "that networks for faces need")


class GraphTrust:
    """Whether graphs are taken as they are, see :func:`trust_graphs`."""

    anything = False


def trust_graphs():
    """Take frozen graphs as they are from now on: for those who made them, with operations beyond the list."""
    GraphTrust.anything = True


def require_constants(path, graph_def):
    """Raise an InputError if a graph's constants are broken, or would take more than :data:`MAX_CONSTANT_BYTES`.

    Args:
        path: where the graph comes from, for the message.
        graph_def: a ``tf.GraphDef``.
    """
    total = 0
    for node in graph_def.node:
        if node.op != "Const":
            continue
        size = _constant_bytes(node.attr["value"].tensor)
        if size is None:
            raise InputError("{}: the constant {} is damaged; copy or download the graph again".format(
                path, node.name))
        total += size
    if total > MAX_CONSTANT_BYTES:
        raise InputError("{}: its constants would take {} MiB, which no network here has; give the graph this "
                         "network is published as".format(path, total >> 20))


def require_harmless(path, graph_def):
    """Raise an InputError unless a graph consists of :data:`OPERATIONS` alone; arguments as above."""
    if GraphTrust.anything:
        return
    foreign = sorted({node.op for node in graph_def.node} - OPERATIONS)
    if graph_def.library.function:
        foreign.append("functions of its own")
    if foreign:
        raise InputError("{}: refused, because it holds operations that networks for faces do not need ({}{}); if you "
                         "know who made it, --trust_graph takes it as it is".format(
                             path, ", ".join(foreign[:_NAMES_TOLD]), ", ..." if len(foreign) > _NAMES_TOLD else ""))
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op in _SIZED and not _is_small(node, nodes):
            raise InputError("{}: refused, because {} makes an image of unknown or unusual size; if you know who made "
                             "the graph, --trust_graph takes it as it is".format(path, node.name))


def _constant_bytes(tensor):
    """Return how many bytes a ``TensorProto`` will take, or None if it cannot be one."""
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


def _is_small(node, nodes):
    """Tell whether the input that decides a result's size is a constant of small numbers."""
    position = _SIZED[node.op]
    source = nodes.get(node.input[position].split(":")[0]) if len(node.input) > position else None
    for _ in range(len(nodes)):
        if source is None or source.op != "Identity" or not source.input:
            break
        source = nodes.get(source.input[0].split(":")[0])
    if source is None or source.op != "Const":
        return False
    try:
        return bool(np.all(np.abs(tf.make_ndarray(source.attr["value"].tensor).astype(np.int64)) <= _LARGEST_SIZE))
    except (TypeError, ValueError):
        return False
