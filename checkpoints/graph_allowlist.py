"""The allowlist of frozen graphs: operations without side effects, constants of bounded size.

A graph is a program, and TensorFlow's operations can read and write files. A graph from a stranger
may contain only the operations of networks for faces: arithmetic without side effects, loops and
functions of its own. It may still compute for long, or compute nonsense.
"""

from typing import Any, Mapping, Optional

import numpy as np

from utils.errors import InputError, join_first
from utils.tf_compat import tf

# Operations used by the published networks (including FaceNet) and by r_net.export_r_net, and
# others of networks for faces: all of them only compute, on numbers.
# fmt: off
OPERATIONS = frozenset((
    # inputs, constants, control
    "Placeholder", "PlaceholderWithDefault", "Const", "Identity", "IdentityN", "NoOp",
    "StopGradient", "PreventGradient", "Switch", "Merge", "ZerosLike", "OnesLike", "Fill", "Range",
    "LinSpace", "RandomUniform",
    # layers
    "Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative",
    "DepthwiseConv2dNativeBackpropInput", "Dilation2D", "MatMul", "BatchMatMul", "BatchMatMulV2",
    "BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "MaxPool", "MaxPoolV2",
    "MaxPoolWithArgmax", "AvgPool", "LRN", "L2Loss", "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel",
    # activations
    "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softmax", "LogSoftmax",
    "Softplus", "Softsign",
    # arithmetic
    "Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "Div", "TruncateDiv", "FloorDiv", "FloorMod",
    "TruncateMod", "Mod", "Maximum", "Minimum", "Neg", "Abs", "Sign", "Square",
    "SquaredDifference", "Sqrt", "Rsqrt", "Reciprocal", "Inv", "Exp", "Expm1", "Log", "Log1p",
    "Pow", "Floor", "Ceil", "Round", "Rint", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Atan2",
    "Sinh", "Cosh", "Erf", "ClipByValue", "Cumsum", "Cumprod", "Cross",
    # reductions and choices
    "Mean", "Sum", "Max", "Min", "Prod", "All", "Any", "ArgMax", "ArgMin", "TopK", "TopKV2",
    "OneHot", "Where", "Select", "SelectV2", "Equal", "NotEqual", "ApproximateEqual", "Greater",
    "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalOr", "LogicalNot",
    # shapes
    "Pad", "PadV2", "MirrorPad", "Concat", "ConcatV2", "Reshape", "Squeeze", "ExpandDims",
    "Transpose", "InvertPermutation", "Pack", "Unpack", "Split", "SplitV", "Slice", "StridedSlice",
    "Shape", "ShapeN", "Size", "Rank", "Cast", "Reverse", "ReverseV2", "Gather", "GatherV2",
    "GatherNd", "Tile", "BroadcastTo", "BroadcastArgs", "SpaceToBatch", "SpaceToBatchND",
    "BatchToSpace", "BatchToSpaceND", "SpaceToDepth", "DepthToSpace", "ExtractImagePatches",
    # images
    "ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "CropAndResize"))
# fmt: on

# Operation -> number of the input whose values decide the size of its result: it must be a constant
# of small numbers. Only dilated convolutions (SpaceToBatch) also compute it.
_IMAGE_SIZE_INPUTS = {
    "Pad": 1,
    "PadV2": 1,
    "MirrorPad": 1,
    "ResizeBilinear": 1,
    "ResizeNearestNeighbor": 1,
    "ResizeBicubic": 1,
    "ResizeArea": 1,
    "CropAndResize": 3,
    "SpaceToBatch": 1,
    "SpaceToBatchND": 2,
}
# The same, but networks also compute it from the number of photos. A constant is a shape, a number
# of repetitions or a count, whose product must be small.
_COUNT_INPUTS = {
    "Fill": 0,
    "RandomUniform": 0,
    "Conv2DBackpropInput": 0,
    "DepthwiseConv2dNativeBackpropInput": 0,
    "OneHot": 1,
    "Tile": 1,
    "BroadcastTo": 1,
    "LinSpace": 2,
}
_MAX_IMAGE_SIDE = 4096  # pixels
_MAX_COUNT = 1 << 26  # values of a result
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

    # 2. no results of unlimited size
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if not _has_usual_size(node, nodes):
            raise InputError(
                "{}: refused, because {} ({}) makes a result of unknown or unusual size; if you "
                "know who made the graph, --trust_graph imports it all the same".format(
                    path, node.name, node.op
                )
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


def _has_usual_size(node: Any, nodes: Mapping[str, Any]) -> bool:
    """Return False if the constants that decide the size of a node's result make it unusual."""
    if node.op in _IMAGE_SIZE_INPUTS:
        sides = _constant_input(node, _IMAGE_SIZE_INPUTS[node.op], nodes)
        if sides is None:
            return node.op.startswith("SpaceToBatch")
        return bool(np.all(np.abs(sides) <= _MAX_IMAGE_SIDE))
    if node.op in _COUNT_INPUTS:
        counts = _constant_input(node, _COUNT_INPUTS[node.op], nodes)
        return counts is None or bool(np.prod(np.abs(counts)) <= _MAX_COUNT)
    if node.op == "Range":
        start, limit, delta = (_constant_input(node, position, nodes) for position in range(3))
        if start is None or limit is None or delta is None:
            return True
        return bool(np.all(np.abs(limit - start) <= _MAX_COUNT * np.abs(delta)))
    return True


def _constant_input(node: Any, position: int, nodes: Mapping[str, Any]) -> Optional[np.ndarray]:
    """Return the numbers of a constant input, float64; None if it is computed or missing.

    The constant may lie behind any number of Identity operations.
    """
    source = nodes.get(_node_name(node.input[position])) if len(node.input) > position else None
    for _ in range(len(nodes)):
        if source is None or source.op != "Identity" or not source.input:
            break
        source = nodes.get(_node_name(source.input[0]))
    if source is None or source.op != "Const":
        return None
    try:
        return tf.make_ndarray(source.attr["value"].tensor).astype(np.float64)
    except (TypeError, ValueError):
        return None


def _node_name(tensor_name: str) -> str:
    return tensor_name.split(":")[0]
