"""Reader of dlib's file of the face-recognition network.

dlib (King, JMLR 2009) serializes a network as nested templates: version numbers from the
outermost layer to the innermost, then each layer's contents from the innermost outwards. An
integer is a length byte (its top bit the sign) followed by that many little-endian bytes; a
real number is an integer mantissa and an integer exponent of two; a tensor is a version, four
sizes and float32 values; a boolean is the character 0 or 1. The network is metric-learning
ResNet-29: 29 convolutions, each followed by an affine layer (batch normalization, frozen), and
one matrix without bias.
"""

import math
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from utils.errors import InputError

_LAYER_VERSION = 2  # of a layer with other layers below it
_FIRST_LAYER_VERSION = 3  # of the layer that reads the image
_MARK_VERSION = 1  # of a tag (where a shortcut begins) or a skip (back to a tag); both are empty
_TENSOR_VERSION = 2
_MAX_LAYERS = 1000
_MAX_BYTES = 1 << 27  # read at most; the file has 22 million


class Convolution(NamedTuple):
    """A convolution with the affine layer after it folded in."""

    kernel: np.ndarray  # [rows, columns, inputs, filters] float32
    bias: np.ndarray  # [filters] float32
    stride: int
    padding: int  # zeros on each side


class RecognitionNetwork(NamedTuple):
    """Parameters of dlib's face-recognition network."""

    mean_rgb: np.ndarray  # [3] float32, subtracted from the image
    image_size: int  # side of the square image it reads
    convolutions: Tuple[Convolution, ...]  # from the image upwards
    projection: np.ndarray  # [256, 128] float32, from pooled features to the embedding


class _Layer(NamedTuple):
    kind: str
    values: np.ndarray  # the layer's parameters, flat
    sizes: Tuple[int, ...]  # its integer parameters, by kind


def read_recognition_network(path: str) -> RecognitionNetwork:
    """Read ``dlib_face_recognition_resnet_model_v1.dat``.

    Args:
        path: the file.

    Raises:
        InputError: the file is missing, damaged, or contains another network.
    """
    try:
        with open(path, "rb") as file:
            stream = _Stream(file.read(_MAX_BYTES))
    except OSError as error:
        raise InputError("{}: cannot be read ({})".format(path, error.strerror)) from None
    try:
        mean_rgb, image_size, layers = _read_layers(stream)
        with np.errstate(all="ignore"):
            convolutions = _fold_convolutions(layers)
            projection = _read_matrix(layers[-1])
        weights = [values for layer in convolutions for values in (layer.kernel, layer.bias)]
        if not all(np.isfinite(values).all() for values in weights):
            raise ValueError("a weight is not a finite number")
        return RecognitionNetwork(mean_rgb, image_size, convolutions, projection)
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise InputError(
            "{}: not dlib's face-recognition network version 1, or damaged ({})".format(path, error)
        ) from None


class _Stream:
    """A reader of dlib's basic types from a byte string, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        end = self._position + count
        if count < 0 or end > len(self._data):
            raise ValueError("it ends early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def integer(self) -> int:
        """Return a length-prefixed integer."""
        head = self.take(1)[0]
        value = int.from_bytes(self.take(head & 0x0F), "little")
        return -value if head & 0x80 else value

    def integers(self, count: int) -> Tuple[int, ...]:
        """Return ``count`` integers."""
        return tuple(self.integer() for _ in range(count))

    def real(self) -> float:
        """Return a number stored as mantissa and exponent."""
        mantissa, exponent = self.integers(2)
        return math.ldexp(mantissa, exponent)

    def text(self) -> str:
        """Return a length-prefixed string."""
        return self.take(self.integer()).decode("ascii", "replace")

    def tensor(self) -> np.ndarray:
        """Return the values of a tensor, flat."""
        if self.integer() != _TENSOR_VERSION:
            raise ValueError("a tensor of another version")
        count = int(np.prod(self.integers(4), dtype=np.int64))
        return np.frombuffer(self.take(4 * count), "<f4")


def _read_layers(stream: _Stream) -> Tuple[np.ndarray, int, List[_Layer]]:
    """Return the image's mean, the image's size and the layers from the image upwards."""
    # 1. the loss layer, and the versions of the layers below it
    stream.integer()  # version of the loss layer
    if stream.text() != "loss_metric_2":
        raise ValueError("its loss is another")
    stream.real()  # margin of the training loss
    stream.real()  # its threshold
    versions = [stream.integer()]
    while versions[-1] != _FIRST_LAYER_VERSION:
        versions.append(stream.integer())
        known = versions[-1] in (_MARK_VERSION, _LAYER_VERSION, _FIRST_LAYER_VERSION)
        if not known or len(versions) > _MAX_LAYERS:
            raise ValueError("its layers are of another version")

    # 2. the input layer
    if stream.text() != "input_rgb_image_sized":
        raise ValueError("its input is another")
    mean_rgb = np.array([stream.real() for _ in range(3)], np.float32)
    rows, columns = stream.integers(2)
    if rows != columns:
        raise ValueError("its image is not square")

    # 3. the other layers, the lowest first
    layers = []
    for version in reversed(versions):
        if version != _MARK_VERSION:
            layers.append(_read_layer(stream))
            stream.take(3)  # three booleans about the state of training
            for _ in range(3):
                stream.tensor()  # gradients, empty
        if version == _FIRST_LAYER_VERSION:
            stream.integer()  # images made of one sample
    return mean_rgb, rows, layers


def _read_layer(stream: _Stream) -> _Layer:
    kind = stream.text()
    if kind == "con_4":
        return _read_convolution(stream)
    if kind == "affine_":
        return _read_affine(stream)
    if kind == "fc_2":
        return _read_projection(stream)
    if kind in ("max_pool_2", "avg_pool_2"):
        return _Layer(kind, np.zeros(0), stream.integers(6))  # rows, columns, strides, paddings
    if kind in ("relu_", "add_prev_"):
        return _Layer(kind, np.zeros(0), ())
    raise ValueError("a layer {!r}".format(kind[:20]))


def _read_convolution(stream: _Stream) -> _Layer:
    values = stream.tensor()
    filters, rows, columns, stride, _, padding, _ = stream.integers(7)
    _, _, channels, _, _ = stream.integers(5)  # version and shape of the kernel
    stream.integers(5)  # version and shape of the bias
    _skip_multipliers(stream)
    return _Layer("con_4", values, (filters, channels, rows, columns, stride, padding))


def _read_affine(stream: _Stream) -> _Layer:
    values = stream.tensor()
    stream.integers(10)  # versions and shapes of scale and offset
    stream.integer()  # mode of the frozen normalization: by channel
    return _Layer("affine_", values, ())


def _read_projection(stream: _Stream) -> _Layer:
    outputs, inputs = stream.integers(2)
    values = stream.tensor()
    stream.integers(10)  # versions and shapes of the matrix and of an empty bias
    stream.integer()  # bias mode: none
    _skip_multipliers(stream)
    return _Layer("fc_2", values, (inputs, outputs))


def _skip_multipliers(stream: _Stream) -> None:
    """Skip the learning-rate and weight-decay multipliers of weights and biases."""
    for _ in range(4):
        stream.real()


def _fold_convolutions(layers: Sequence[_Layer]) -> Tuple[Convolution, ...]:
    """Fold the affine layer after each convolution into it."""
    folded = []
    for layer, following in zip(layers, layers[1:]):
        if layer.kind != "con_4":
            continue
        filters, channels, rows, columns, stride, padding = layer.sizes
        if following.kind != "affine_" or len(following.values) != 2 * filters:
            raise ValueError("a convolution without its affine layer")

        # w' = scale w and b' = scale b + offset, per filter
        kernel = layer.values[:-filters].reshape(filters, channels, rows, columns)
        scale, offset = following.values[:filters], following.values[filters:]
        kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
        bias = layer.values[-filters:] * scale + offset
        folded.append(Convolution(np.ascontiguousarray(kernel), bias, stride, padding))
    return tuple(folded)


def _read_matrix(layer: _Layer) -> np.ndarray:
    if layer.kind != "fc_2":
        raise ValueError("it does not end in a matrix")
    return layer.values.reshape(layer.sizes)
