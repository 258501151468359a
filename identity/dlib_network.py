"""dlib's face-recognition network (metric-learning ResNet-29) as a differentiable graph.

The architecture is that of dlib's example ``dnn_face_recognition_ex.cpp``: a strided
convolution and a max pooling, fourteen residual units of two convolutions, global average
pooling and a projection. Where a unit halves the resolution its shortcut is average pooled;
where the two sides of an addition differ in size, dlib pads the smaller with zeros at the end.
"""

from typing import NamedTuple, Sequence, Tuple

import numpy as np

from identity.dlib_file import RecognitionNetwork
from utils.tf_compat import Tensor, tf

_INPUT_SCALE = 1.0 / 256.0  # dlib divides by 256, not 255


class RecognitionFeatures(NamedTuple):
    """The outputs of the network."""

    embedding: Tensor  # [B, 128]; below a distance of 0.6, two faces are one person for dlib
    pooled: Tensor  # [B, 256], the features below the projection


# (kernel tensor, bias tensor, stride, padding).
_Convolution = Tuple[Tensor, Tensor, int, int]


class RecognitionConstants(NamedTuple):
    """The network's parameters as constants of one graph."""

    mean_rgb: np.ndarray  # [3]
    convolutions: Tuple[_Convolution, ...]
    projection: Tensor  # [256, 128]


def recognition_constants(network: RecognitionNetwork) -> RecognitionConstants:
    """Make constants of the network's parameters in the current graph."""
    convolutions = tuple(
        (tf.constant(layer.kernel), tf.constant(layer.bias), layer.stride, layer.padding)
        for layer in network.convolutions
    )
    return RecognitionConstants(network.mean_rgb, convolutions, tf.constant(network.projection))


def recognition_features(chips_rgb: Tensor, constants: RecognitionConstants) -> RecognitionFeatures:
    """Build the network.

    Args:
        chips_rgb: [B, 150, 150, 3] float32, RGB, 0..255, aligned as by ``dlib.get_face_chip`` with
            padding 0.25.
        constants: parameters from :func:`recognition_constants`.
    """
    # 1. convolution and pooling
    net = (chips_rgb - constants.mean_rgb) * _INPUT_SCALE
    net = tf.nn.relu(_convolve(net, constants.convolutions[0]))
    net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], "VALID")

    # 2. residual units of two convolutions
    units = constants.convolutions[1:]
    for first, second in zip(units[0::2], units[1::2]):
        net = _residual_unit(net, first, second)

    # 3. pooling and projection
    pooled = tf.reduce_mean(net, [1, 2])
    return RecognitionFeatures(tf.matmul(pooled, constants.projection), pooled)


def _residual_unit(inputs: Tensor, first: _Convolution, second: _Convolution) -> Tensor:
    """Two convolutions and a shortcut, which is average pooled if the first one has a stride."""
    _, _, stride, _ = first
    residual = _convolve(tf.nn.relu(_convolve(inputs, first)), second)
    window = [1, stride, stride, 1]
    shortcut = inputs if stride == 1 else tf.nn.avg_pool(inputs, window, window, "VALID")
    size = [max(int(a), int(b)) for a, b in zip(residual.shape[1:], shortcut.shape[1:])]
    return tf.nn.relu(_pad_to(residual, size) + _pad_to(shortcut, size))


def _convolve(inputs: Tensor, layer: _Convolution) -> Tensor:
    kernel, bias, stride, padding = layer
    if padding and stride == 1:  # a padding of half the kernel is SAME
        mode = "SAME"
    else:
        mode = "VALID"
    return tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, [1, stride, stride, 1], mode), bias)


def _pad_to(net: Tensor, size: Sequence[int]) -> Tensor:
    """Append zeros to rows, columns and channels of [B, h, w, c] up to ``size``."""
    missing = [wanted - int(have) for wanted, have in zip(size, net.shape[1:])]
    if not any(missing):
        return net
    return tf.pad(net, [[0, 0]] + [[0, count] for count in missing])
