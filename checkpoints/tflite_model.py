"""TFLite models as operations of a TensorFlow graph.

The TFLite interpreter is not part of TensorFlow 1.12, and runs one image at a time. The operations
here are those of both TensorFlows, for batches of any number, and for images of other sizes where
the network is fully convolutional. Only floating-point models and the operators in ``_BUILDERS``
are known; weights in half precision become float32.
"""

from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from utils.errors import InputError
from utils.tf_compat import Tensor, tf

_PADDINGS = ("SAME", "VALID")  # in the order of the format's enumeration
_ACTIVATIONS = {0: lambda x: x, 1: lambda x: tf.nn.relu(x), 3: lambda x: tf.nn.relu6(x)}


class TfliteModel:
    """A TFLite model.

    Args:
        data: content of a ``.tflite`` file.
        name: name of the model, for messages.

    Raises:
        InputError: the file is damaged, or uses operators that are not known here.
    """

    def __init__(self, data: bytes, name: str) -> None:
        import tflite  # read only where networks are converted, not where they run

        self._schema = tflite
        self._name = name
        try:
            self._model = tflite.Model.GetRootAsModel(bytearray(data), 0)
            self._graph = self._model.Subgraphs(0)
            self._operators = [
                self._graph.Operators(i) for i in range(self._graph.OperatorsLength())
            ]
            self._codes = [self._operator_code(operator) for operator in self._operators]
        except Exception:  # flatbuffers checks nothing: any offset of a damaged file may fail
            raise InputError(
                "{}: not a TFLite model; copy or download it again".format(name)
            ) from None
        names = {code: key for key, code in vars(tflite.BuiltinOperator).items() if key.isupper()}
        unknown = sorted({names.get(code, str(code)) for code in self._codes} - set(_BUILDERS))
        if unknown:
            raise InputError("{}: unknown operator {}".format(name, ", ".join(unknown)))
        self._operator_names = [names[code] for code in self._codes]

    def build(self, inputs: Tensor) -> List[Tensor]:
        """Add the model's operations to the current graph.

        Args:
            inputs: the model's input, [B, ...] float32.

        Returns:
            Its outputs, in the order of the file.
        """
        tensors: Dict[int, Any] = {int(self._graph.Inputs(0)): inputs}
        for operator, name in zip(self._operators, self._operator_names):
            operands = [
                tensors[i] if i in tensors else self._constant(i)
                for i in map(int, operator.InputsAsNumpy())
            ]
            tensors[int(operator.Outputs(0))] = _BUILDERS[name](_Node(self, operator), operands)
        return [tensors[int(i)] for i in self._graph.OutputsAsNumpy()]

    def shape(self, tensor: int) -> List[int]:
        """Return the shape of a tensor in the file, for one image of the standard size."""
        return [int(size) for size in self._graph.Tensors(tensor).ShapeAsNumpy()]

    def options(self, operator: Any, kind: str) -> Any:
        """Return the options of an operator as the schema's class of that name."""
        table = operator.BuiltinOptions()
        options = getattr(self._schema, kind)()
        options.Init(table.Bytes, table.Pos)
        return options

    def _operator_code(self, operator: Any) -> int:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def _constant(self, tensor: int) -> np.ndarray:
        """Return a tensor that the file stores, float32 or int32."""
        entry = self._graph.Tensors(tensor)
        kinds = {
            self._schema.TensorType.FLOAT32: "<f4",
            self._schema.TensorType.FLOAT16: "<f2",
            self._schema.TensorType.INT32: "<i4",
        }
        if entry.Type() not in kinds:
            raise InputError("{}: numbers of an unknown type".format(self._name))
        values = np.frombuffer(
            self._model.Buffers(entry.Buffer()).DataAsNumpy().tobytes(), kinds[entry.Type()]
        )
        if values.dtype.kind == "f":
            values = values.astype(np.float32)
        return values.reshape(self.shape(tensor))


class _Node:
    """An operator with the model that it belongs to."""

    def __init__(self, model: TfliteModel, operator: Any) -> None:
        self._model = model
        self._operator = operator

    def options(self, kind: str) -> Any:
        return self._model.options(self._operator, kind)

    def output_shape(self) -> List[int]:
        return self._model.shape(int(self._operator.Outputs(0)))


def _convolution(node: _Node, operands: Sequence[Any]) -> Tensor:
    options = node.options("Conv2DOptions")
    images, filters, bias = operands
    result = tf.nn.conv2d(
        images,
        filters.transpose(1, 2, 3, 0),  # stored as [outputs, rows, columns, inputs]
        [1, options.StrideH(), options.StrideW(), 1],
        _PADDINGS[options.Padding()],
    )
    return _activated(result + bias, options)


def _depthwise_convolution(node: _Node, operands: Sequence[Any]) -> Tensor:
    options = node.options("DepthwiseConv2DOptions")
    images, filters, bias = operands
    result = tf.nn.depthwise_conv2d(
        images,
        filters.reshape(filters.shape[1:3] + (-1, options.DepthMultiplier())),
        [1, options.StrideH(), options.StrideW(), 1],
        _PADDINGS[options.Padding()],
    )
    return _activated(result + bias, options)


def _max_pool(node: _Node, operands: Sequence[Any]) -> Tensor:
    options = node.options("Pool2DOptions")
    return tf.nn.max_pool(
        operands[0],
        [1, options.FilterHeight(), options.FilterWidth(), 1],
        [1, options.StrideH(), options.StrideW(), 1],
        _PADDINGS[options.Padding()],
    )


def _add(node: _Node, operands: Sequence[Any]) -> Tensor:
    return _activated(operands[0] + operands[1], node.options("AddOptions"))


def _prelu(node: _Node, operands: Sequence[Any]) -> Tensor:
    inputs, slopes = operands
    if np.all(slopes <= 1):
        return tf.maximum(inputs, slopes * inputs)  # two operations in the place of five
    return inputs + (slopes - 1) * tf.minimum(inputs, 0.0)


def _reshape(node: _Node, operands: Sequence[Any]) -> Tensor:
    """Keep the batch and the last axes; the second one takes what remains."""
    batch = tf.shape(operands[0])[:1]
    return tf.reshape(operands[0], tf.concat([batch, [-1] + node.output_shape()[2:]], axis=0))


def _concatenate(node: _Node, operands: Sequence[Any]) -> Tensor:
    return tf.concat(list(operands), axis=node.options("ConcatenationOptions").Axis())


def _double_size(node: _Node, operands: Sequence[Any]) -> Tensor:
    """Resize images to twice their rows and columns, with half-pixel centers.

    TensorFlow 1.12 has no such resizing: a new pixel is .75 of the near and .25 of the next one.
    """
    return _double_along(_double_along(operands[0], 1), 2)


def _double_along(images: Tensor, axis: int) -> Tensor:
    # 1. the pixels before and after each one; those at the border count twice
    margins = [[0, 0]] * 4
    margins[axis] = [1, 1]
    padded = tf.pad(images, margins, "SYMMETRIC")
    size = tf.shape(images)
    before = tf.slice(padded, [0, 0, 0, 0], size)
    after = tf.slice(padded, [0] * axis + [2] + [0] * (3 - axis), size)

    # 2. even and odd pixels, by turns
    pairs = tf.stack([0.75 * images + 0.25 * before, 0.75 * images + 0.25 * after], axis + 1)
    doubled = tf.concat([size[:axis], [2 * size[axis]], size[axis + 1 :]], axis=0)
    result = tf.reshape(pairs, doubled)
    result.set_shape([None, None, None, images.shape[3]])
    return result


def _activated(values: Tensor, options: Any) -> Tensor:
    return _ACTIVATIONS[options.FusedActivationFunction()](values)


_BUILDERS: Dict[str, Callable[[_Node, Sequence[Any]], Tensor]] = {
    "ADD": _add,
    "CONCATENATION": _concatenate,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "DEQUANTIZE": lambda node, operands: operands[0],  # of weights in half precision
    "LOGISTIC": lambda node, operands: tf.sigmoid(operands[0]),
    "MAX_POOL_2D": _max_pool,
    "PAD": lambda node, operands: tf.pad(operands[0], operands[1]),
    "PRELU": _prelu,
    "RELU": lambda node, operands: tf.nn.relu(operands[0]),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _double_size,
}
