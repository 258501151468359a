"""The networks: R-Net (photo -> coefficients), C-Net, FaceNet (photo -> identity) and landmarks.

R-Net is ResNet-50 v1 (He et al., CVPR 2016) with seven linear heads, FaceNet is
Inception-ResNet v1 (Szegedy et al., AAAI 2017; Schroff et al., CVPR 2015). Variables carry
TF-Slim's names and shapes, so that the public checkpoints restore into them and ours restore
into the published code. C-Net and the landmark network are this project's own.

All are pure functions of their input. Their parameters are either variables or, in a frozen
network, the constants of :func:`frozen_parameters`, in which batch normalization is folded
into the convolutions: that saves a third of the time on a CPU.
"""

import functools
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from geometry.camera import PRINCIPAL_POINT
from geometry.landmark_layout import LANDMARK_COUNT
from utils.tf_compat import Tensor, tf

R_NET_SCOPE = "resnet_v1_50"
FACE_NET_SCOPE = "InceptionResnetV1"
LANDMARK_NET_SCOPE = "landmark_net"
C_NET_SCOPE = "c_net"

R_NET_INPUT_SIZES = (56, 112, 224)  # pixels; divisors of the size of a crop

POOL5_WIDTH = 2048  # of R-Net's features
SHALLOW_WIDTH, DEEP_WIDTH = 256, 2048  # channels of the feature maps of R-Net that C-Net reads
AVERAGE_POOL_WIDTH = 1792  # of FaceNet's features
BOTTLENECK_WIDTH = 128  # of FaceNet's output

# (bottleneck width, number of units, stride of the last unit) of each of ResNet-50's blocks.
_RESNET_BLOCKS = ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1))
_BOTTLENECK_EXPANSION = 4

# Widths of the heads that do not depend on the face model; translation is predicted in two parts.
_ANGLES, _GAMMA, _TRANSLATION_XY, _TRANSLATION_Z = 3, 27, 2, 1

LANDMARK_NET_INPUT_SIZE = 112  # pixels
# Width of each stage of the landmark network; each has two residual units and halves the size.
_LANDMARK_NET_STEM, _LANDMARK_NET_STAGES = 16, (32, 64, 128)
_LANDMARK_NET_SUMMARY = 32  # channels that keep their place below the last layer
_LANDMARK_UNIT = 32.0  # pixels of the 224 crop per unit of output
_LANDMARK_LOG_NOISE = (-1.0, 4.0)  # of log pixels: from 0.4 to 55

_C_NET_WIDTH = 64  # of each of the two branches of C-Net
_C_NET_RANGE = 4.0  # of the logarithm of a confidence, to either side

R_NET_BATCH_NORM_DECAY = 0.997  # of the moving averages, as in Slim's resnet_arg_scope

_R_NET_EPSILON = 1e-5  # added to variances, as in Slim's resnet_arg_scope
_FACE_NET_EPSILON = 1e-3  # as in FaceNet's training
_FACE_NET_DECAY = 0.995  # as in FaceNet's training

# One layer of an Inception branch: name, filters, side or (rows, columns) of the kernel.
_Layer = Tuple[str, int, Union[int, Tuple[int, int]]]
_Branches = Sequence[Sequence[_Layer]]
# fmt: off
_BLOCK35: _Branches = (
    (("Conv2d_1x1", 32, 1),),
    (("Conv2d_0a_1x1", 32, 1), ("Conv2d_0b_3x3", 32, 3)),
    (("Conv2d_0a_1x1", 32, 1), ("Conv2d_0b_3x3", 32, 3), ("Conv2d_0c_3x3", 32, 3)))
_BLOCK17: _Branches = (
    (("Conv2d_1x1", 128, 1),),
    (("Conv2d_0a_1x1", 128, 1), ("Conv2d_0b_1x7", 128, (1, 7)), ("Conv2d_0c_7x1", 128, (7, 1))))
_BLOCK8: _Branches = (
    (("Conv2d_1x1", 192, 1),),
    (("Conv2d_0a_1x1", 192, 1), ("Conv2d_0b_1x3", 192, (1, 3)), ("Conv2d_0c_3x1", 192, (3, 1))))
_REDUCTION_A: _Branches = (
    (("Conv2d_1a_3x3", 384, 3),),
    (("Conv2d_0a_1x1", 192, 1), ("Conv2d_0b_3x3", 192, 3), ("Conv2d_1a_3x3", 256, 3)))
_REDUCTION_B: _Branches = (
    (("Conv2d_0a_1x1", 256, 1), ("Conv2d_1a_3x3", 384, 3)),
    (("Conv2d_0a_1x1", 256, 1), ("Conv2d_1a_3x3", 256, 3)),
    (("Conv2d_0a_1x1", 256, 1), ("Conv2d_0b_3x3", 256, 3), ("Conv2d_1a_3x3", 256, 3)))
# fmt: on
# Scale of the residual added by each kind of Inception-ResNet block; the last block8 is unscaled.
_BLOCK35_SCALE, _BLOCK17_SCALE, _BLOCK8_SCALE = 0.17, 0.10, 0.20


class RNetOutput(NamedTuple):
    """Output of R-Net."""

    coefficients: Tensor  # [B, identity + expression + albedo + 33]; with the published counts 257
    pool5: Tensor  # [B, 1, 1, 2048], globally pooled features of the trunk
    shallow: Optional[Tensor] = None  # [B, S/8, S/8, 256], the map of the first block
    deep: Optional[Tensor] = None  # [B, S/32, S/32, 2048], the map of the last block


class FaceNetOutput(NamedTuple):
    """Output of FaceNet."""

    bottleneck: Optional[Tensor]  # [B, 128], not normalized; None if it was left out
    average_pool: Tensor  # [B, 1, 1, 1792], the features below the bottleneck


class LandmarkNetOutput(NamedTuple):
    """Output of the landmark network."""

    landmarks: Tensor  # [B, 68, 2] pixels of the 224 crop, y up
    log_noise: Tensor  # [B, 68] logarithm of the standard deviation of x and of y, pixels


class _Parameters(NamedTuple):
    """Source of a network's parameters, and settings of its batch normalization."""

    frozen: Optional[Mapping[str, Tensor]]  # constants by variable name; None: make variables
    training: bool  # normalize by the batch, and update the moving averages
    decay: Any  # of the moving averages: a number or a scalar tensor
    epsilon: float  # added to the variance
    has_gamma: bool  # whether the normalization has a learned scale


def r_net(
    images_bgr: Tensor,
    *,
    training: bool,
    identity_count: int = 80,
    expression_count: int = 64,
    albedo_count: int = 80,
    decay: Any = R_NET_BATCH_NORM_DECAY,
    frozen: Optional[Mapping[str, Tensor]] = None,
    reuse: Optional[bool] = None,
) -> RNetOutput:
    """Build R-Net: ResNet-50 v1, global average pooling, one linear head per kind of coefficient.

    In training mode the updates of the moving averages are added to
    ``tf.GraphKeys.UPDATE_OPS``; run them with the training step.

    Args:
        images_bgr: [B, 224, 224, 3] float32, BGR, 0..255, without mean subtraction.
        training: normalize by the batch's statistics (True) or by the moving averages (False).
        identity_count, expression_count, albedo_count: widths of the heads ``fc-id``, ``fc-ex``
            and ``fc-tex``: the numbers of components of the face model. Defaults as published.
        decay: decay of the moving averages in training mode, a number or a scalar tensor.
        frozen: result of :func:`frozen_parameters`, to build a network without variables, which
            normalizes by the moving averages; ``training`` is then ignored.
        reuse: argument of ``tf.variable_scope``; None makes new variables.

    Returns:
        The coefficients, in the order identity, expression, albedo, angles, gamma, translation,
        and the features.
    """
    parameters = _Parameters(frozen, training, decay=decay, epsilon=_R_NET_EPSILON, has_gamma=True)

    # 1. trunk
    shallow = None
    with tf.variable_scope(R_NET_SCOPE, reuse=reuse):
        net = _fixed_padding_convolution(parameters, images_bgr, "conv1", 64, size=7, stride=2)
        net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], "SAME")
        for index, (width, units, stride) in enumerate(_RESNET_BLOCKS, 1):
            for unit in range(1, units + 1):
                with tf.variable_scope("block{}/unit_{}/bottleneck_v1".format(index, unit)):
                    net = _bottleneck_unit(parameters, net, width, stride if unit == units else 1)
            shallow = net if index == 1 else shallow
        deep = net
        pool5 = tf.reduce_mean(net, [1, 2], keepdims=True, name="pool5")

    # 2. heads
    heads = (
        ("fc-id", identity_count),
        ("fc-ex", expression_count),
        ("fc-tex", albedo_count),
        ("fc-angles", _ANGLES),
        ("fc-gamma", _GAMMA),
        ("fc-XY", _TRANSLATION_XY),
        ("fc-Z", _TRANSLATION_Z),
    )
    outputs = []
    for name, width in heads:
        with tf.variable_scope(name, reuse=reuse):
            outputs.append(
                _biased_convolution(parameters, pool5, width, initializer=tf.zeros_initializer())
            )
    coefficients = tf.reshape(tf.concat(outputs, 3), [-1, sum(width for _, width in heads)])
    return RNetOutput(coefficients, pool5, shallow, deep)


def c_net(
    shallow: Tensor,
    deep: Tensor,
    *,
    training: bool,
    identity_count: int = 80,
    decay: Any = R_NET_BATCH_NORM_DECAY,
    frozen: Optional[Mapping[str, Tensor]] = None,
    reuse: Optional[bool] = None,
) -> Tensor:
    """Build C-Net: the confidence of a photo in each coefficient of the identity that R-Net gives.

    Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised Learning" (CVPRW 2019),
    section 4: a light network on a shallow feature map, which shows blur, light and hidden parts,
    and on the deepest, which knows pose and identity. The identity of several photos j is
    sum_j c_j * identity_j / sum_j c_j, element by element. Untrained, all confidences are 1.

    Args:
        shallow: [B, H, W, 256] float32, ``RNetOutput.shallow``.
        deep: [B, h, w, 2048] float32, ``RNetOutput.deep``.
        training, decay, frozen, reuse: see :func:`r_net`.
        identity_count: number of identity coefficients.

    Returns:
        [B, identity_count], positive.
    """
    parameters = _Parameters(frozen, training, decay=decay, epsilon=_R_NET_EPSILON, has_gamma=True)
    with tf.variable_scope(C_NET_SCOPE, reuse=reuse):
        # 1. both maps
        net = shallow
        for index in (1, 2):
            name = "shallow/conv{}".format(index)
            net = _normalized_convolution(parameters, net, name, _C_NET_WIDTH, size=3, stride=2)
        summary = [tf.reduce_mean(net, [1, 2], keepdims=True)]
        net = _normalized_convolution(parameters, deep, "deep/conv1", _C_NET_WIDTH)
        net = _normalized_convolution(parameters, net, "deep/conv2", _C_NET_WIDTH, size=3)
        summary.append(tf.reduce_mean(net, [1, 2], keepdims=True))

        # 2. confidences
        net = tf.concat(summary, 3)
        net = _normalized_convolution(parameters, net, "hidden", 2 * _C_NET_WIDTH)
        with tf.variable_scope("confidence"):
            net = _biased_convolution(
                parameters, net, identity_count, initializer=tf.zeros_initializer()
            )
        net = tf.reshape(net, [-1, identity_count])
        return tf.exp(_C_NET_RANGE * tf.tanh(net / _C_NET_RANGE))


def downsample_input(images: Tensor, image_size: int) -> Tensor:
    """Average the pixels of R-Net's input to the size at which the network was trained.

    R-Net ends in a global pool and therefore accepts images of any size.

    Args:
        images: [B, S, S, 3].
        image_size: a divisor of S; one of :data:`R_NET_INPUT_SIZES`.

    Returns:
        [B, image_size, image_size, 3].
    """
    factor = int(images.shape[1]) // image_size
    if factor == 1:
        return images
    return tf.nn.avg_pool(images, [1, factor, factor, 1], [1, factor, factor, 1], "VALID")


def face_net(
    images: Tensor,
    *,
    training: bool = False,
    frozen: Optional[Mapping[str, Tensor]] = None,
    reuse: Optional[bool] = None,
    with_bottleneck: bool = True,
) -> FaceNetOutput:
    """Build FaceNet: Inception-ResNet v1 with a 128-wide bottleneck.

    Variables are not trainable: this project uses the network as published.

    Args:
        images: [B, H, W, 3] float32, 0..255; H and W at least 80. The published system
            feeds it BGR.
        training: normalize by the batch's statistics (True) or by the moving averages (False).
        frozen: result of :func:`frozen_parameters`, to build a network without variables, which
            normalizes by the moving averages; ``training`` is then ignored.
        reuse: argument of ``tf.variable_scope``; None makes new variables.
        with_bottleneck: whether to build the layer above the average pool.
    """
    parameters = _Parameters(
        frozen, training, decay=_FACE_NET_DECAY, epsilon=_FACE_NET_EPSILON, has_gamma=False
    )
    block35, block17, block8 = (
        functools.partial(_inception_block, parameters, branches=branches)
        for branches in (_BLOCK35, _BLOCK17, _BLOCK8)
    )

    with tf.variable_scope(FACE_NET_SCOPE, reuse=reuse):
        # 1. trunk
        net = _face_net_stem(parameters, (images - 127.5) / 128.0)
        for index in range(1, 6):
            net = block35(net, "Repeat/block35_{}".format(index), scale=_BLOCK35_SCALE)
        net = _reduction(parameters, net, "Mixed_6a", branches=_REDUCTION_A)
        for index in range(1, 11):
            net = block17(net, "Repeat_1/block17_{}".format(index), scale=_BLOCK17_SCALE)
        net = _reduction(parameters, net, "Mixed_7a", branches=_REDUCTION_B)
        for index in range(1, 6):
            net = block8(net, "Repeat_2/block8_{}".format(index), scale=_BLOCK8_SCALE)
        net = block8(net, "Block8", scale=1.0, activation=False)

        # 2. features and embedding
        average_pool = tf.reduce_mean(net, [1, 2], keepdims=True)
        if not with_bottleneck:
            return FaceNetOutput(None, average_pool)
        bottleneck = _normalized_convolution(
            parameters, average_pool, "Bottleneck", BOTTLENECK_WIDTH, dense=True, activation=False
        )
    return FaceNetOutput(tf.reshape(bottleneck, [-1, BOTTLENECK_WIDTH]), average_pool)


def landmark_net(
    images_bgr: Tensor,
    *,
    training: bool,
    decay: Any = R_NET_BATCH_NORM_DECAY,
    frozen: Optional[Mapping[str, Tensor]] = None,
    reuse: Optional[bool] = None,
) -> LandmarkNetOutput:
    """Build the landmark network: positions of 68 landmarks, hidden ones too, and their noise.

    A residual network (He et al., CVPR 2016) of seven times seven places, whose last layer keeps
    them apart; outputs of a Gaussian likelihood, after Wood et al., "3D Face Reconstruction with
    Dense Landmarks" (ECCV 2022), section 3.

    Args:
        images_bgr: [B, 112, 112, 3] float32, BGR, 0..255.
        training, decay, frozen, reuse: see :func:`r_net`.
    """
    parameters = _Parameters(frozen, training, decay=decay, epsilon=_R_NET_EPSILON, has_gamma=True)
    with tf.variable_scope(LANDMARK_NET_SCOPE, reuse=reuse):
        # 1. trunk
        net = _normalized_convolution(
            parameters, (images_bgr - 127.5) / 64.0, "conv1", _LANDMARK_NET_STEM, size=5, stride=2
        )
        for stage, width in enumerate(_LANDMARK_NET_STAGES, 1):
            for unit in (1, 2):
                with tf.variable_scope("block{}/unit_{}".format(stage, unit)):
                    net = _basic_unit(parameters, net, width, stride=2 if unit == 1 else 1)

        # 2. positions and noise of all landmarks from all places
        net = _normalized_convolution(parameters, net, "summary", _LANDMARK_NET_SUMMARY)
        net = tf.reshape(net, [-1, 1, 1, int(np.prod(net.shape.as_list()[1:]))])
        with tf.variable_scope("landmarks"):
            net = _biased_convolution(
                parameters, net, 3 * LANDMARK_COUNT, initializer=tf.zeros_initializer()
            )
        net = tf.reshape(net, [-1, LANDMARK_COUNT, 3])
        landmarks = PRINCIPAL_POINT + _LANDMARK_UNIT * net[..., :2]
        log_noise = tf.clip_by_value(net[..., 2] + 2.0, *_LANDMARK_LOG_NOISE)
    return LandmarkNetOutput(landmarks, log_noise)


def frozen_parameters(values: Mapping[str, np.ndarray], half: bool = False) -> Dict[str, Tensor]:
    """Make the constants of a frozen network in the current graph.

    Each batch normalization is folded into the convolution before it: weights are scaled by
    gamma / sqrt(variance + epsilon), and biases become beta - mean * that scale. Several copies
    of a network can share one set of constants.

    Args:
        values: variable name -> array, of R-Net, of FaceNet or of both.
        half: store the constants as float16 and cast them to float32 in the graph.

    Returns:
        Variable name -> float32 tensor, for the ``frozen`` argument of :func:`r_net` or
        :func:`face_net`.
    """
    folded = {name: value for name, value in values.items() if "/BatchNorm/" not in name}
    for name in values:
        if name.endswith("/BatchNorm/moving_variance"):
            scope = name[: -len("/BatchNorm/moving_variance")]
            folded[scope + "/weights"], folded[scope + "/biases"] = _fold(values, scope)
    if half:
        return {
            name: tf.cast(
                tf.constant(np.float16(value), name=name), tf.float32, name=name + "/float32"
            )
            for name, value in sorted(folded.items())
        }
    return {
        name: tf.constant(value, tf.float32, name=name) for name, value in sorted(folded.items())
    }


def unfold_batch_norm(constants: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Recover the variables of a checkpoint from the constants of a frozen graph.

    Inverts the folding of :func:`frozen_parameters` in convolutions whose batch normalization is
    also among the constants; training can then start from a frozen graph.

    Args:
        constants: name -> array. A convolution with both ``biases`` and ``BatchNorm`` is folded.

    Returns:
        Variable name -> float32 array.
    """
    values = {name: np.asarray(value, np.float32) for name, value in constants.items()}
    for name in constants:
        scope = name[: -len("/BatchNorm/moving_variance")]
        if name.endswith("/BatchNorm/moving_variance") and {
            scope + "/biases",
            scope + "/weights",
        } <= set(constants):
            del values[scope + "/biases"]
            scale = _normalization_scale(constants, scope)
            values[scope + "/weights"] = np.asarray(
                constants[scope + "/weights"] / np.where(scale == 0, 1, scale), np.float32
            )
    return values


def coefficient_counts(shapes: Mapping[str, Sequence[int]]) -> Dict[str, int]:
    """Return the widths of R-Net's face-model heads, as keyword arguments of :func:`r_net`.

    Args:
        shapes: variable name -> shape, of a checkpoint or a graph with R-Net's variables.
    """
    heads = (("identity_count", "fc-id"), ("expression_count", "fc-ex"), ("albedo_count", "fc-tex"))
    return {argument: int(shapes[head + "/biases"][0]) for argument, head in heads}


def _bottleneck_unit(parameters: _Parameters, inputs: Tensor, width: int, stride: int) -> Tensor:
    """ResNet v1's bottleneck unit, with Slim's stride in the 3x3 convolution."""
    depth = width * _BOTTLENECK_EXPANSION
    if int(inputs.shape[-1]) == depth:
        # Max pooling over one pixel picks every stride-th pixel.
        shortcut = (
            inputs
            if stride == 1
            else tf.nn.max_pool(inputs, [1, 1, 1, 1], [1, stride, stride, 1], "SAME")
        )
    else:
        shortcut = _normalized_convolution(
            parameters, inputs, "shortcut", depth, stride=stride, activation=False
        )
    residual = _normalized_convolution(parameters, inputs, "conv1", width)
    residual = _fixed_padding_convolution(
        parameters, residual, "conv2", width, size=3, stride=stride
    )
    residual = _normalized_convolution(parameters, residual, "conv3", depth, activation=False)
    return tf.nn.relu(shortcut + residual)


def _basic_unit(parameters: _Parameters, inputs: Tensor, width: int, stride: int) -> Tensor:
    """ResNet's unit of two 3x3 convolutions."""
    shortcut = inputs
    if stride != 1:
        shortcut = _normalized_convolution(
            parameters, inputs, "shortcut", width, stride=stride, activation=False
        )
    residual = _normalized_convolution(parameters, inputs, "conv1", width, size=3, stride=stride)
    residual = _normalized_convolution(
        parameters, residual, "conv2", width, size=3, activation=False
    )
    return tf.nn.relu(shortcut + residual)


def _fixed_padding_convolution(
    parameters: _Parameters, inputs: Tensor, name: str, filters: int, *, size: int, stride: int
) -> Tensor:
    """Convolve with padding that does not depend on the input's size (Slim's conv2d_same)."""
    if stride == 1:
        return _normalized_convolution(parameters, inputs, name, filters, size=size)
    before = (size - 1) // 2
    after = size - 1 - before
    padded = tf.pad(inputs, [[0, 0], [before, after], [before, after], [0, 0]])
    return _normalized_convolution(
        parameters, padded, name, filters, size=size, stride=stride, padding="VALID"
    )


def _face_net_stem(parameters: _Parameters, net: Tensor) -> Tensor:
    """The convolutions before the first Inception block: stride 8, 256 channels."""
    convolve = functools.partial(_normalized_convolution, parameters)
    net = convolve(net, "Conv2d_1a_3x3", 32, size=3, stride=2, padding="VALID")
    net = convolve(net, "Conv2d_2a_3x3", 32, size=3, padding="VALID")
    net = convolve(net, "Conv2d_2b_3x3", 64, size=3)
    net = tf.nn.max_pool(net, [1, 3, 3, 1], [1, 2, 2, 1], "VALID")
    net = convolve(net, "Conv2d_3b_1x1", 80, padding="VALID")
    net = convolve(net, "Conv2d_4a_3x3", 192, size=3, padding="VALID")
    return convolve(net, "Conv2d_4b_3x3", 256, size=3, stride=2, padding="VALID")


def _inception_block(
    parameters: _Parameters,
    inputs: Tensor,
    name: str,
    *,
    branches: _Branches,
    scale: float,
    activation: bool = True,
) -> Tensor:
    """Add a scaled residual: a 1x1 convolution of the concatenated outputs of branches."""
    with tf.variable_scope(name):
        outputs = []
        for index, layers in enumerate(branches):
            with tf.variable_scope("Branch_{}".format(index)):
                net = inputs
                for layer, filters, size in layers:
                    net = _normalized_convolution(parameters, net, layer, filters, size=size)
                outputs.append(net)
        with tf.variable_scope("Conv2d_1x1"):
            residual = _biased_convolution(parameters, tf.concat(outputs, 3), int(inputs.shape[-1]))
        net = inputs + scale * residual
        return tf.nn.relu(net) if activation else net


def _reduction(
    parameters: _Parameters, inputs: Tensor, name: str, *, branches: _Branches
) -> Tensor:
    """Halve the resolution: branches that end in a strided convolution, and a max pooling."""
    with tf.variable_scope(name):
        outputs = []
        for index, layers in enumerate(branches):
            with tf.variable_scope("Branch_{}".format(index)):
                net = inputs
                for layer, filters, size in layers[:-1]:
                    net = _normalized_convolution(parameters, net, layer, filters, size=size)
                layer, filters, size = layers[-1]
                outputs.append(
                    _normalized_convolution(
                        parameters, net, layer, filters, size=size, stride=2, padding="VALID"
                    )
                )
        outputs.append(tf.nn.max_pool(inputs, [1, 3, 3, 1], [1, 2, 2, 1], "VALID"))
        return tf.concat(outputs, 3)


def _normalized_convolution(
    parameters: _Parameters,
    inputs: Tensor,
    name: str,
    filters: int,
    *,
    size: Union[int, Tuple[int, int]] = 1,
    stride: int = 1,
    padding: str = "SAME",
    activation: bool = True,
    dense: bool = False,
) -> Tensor:
    """Convolution, batch normalization and ReLU.

    Args:
        parameters: parameters of the network.
        inputs: [B, H, W, C].
        name: variable scope of the layer.
        filters: number of output channels.
        size: side of the square kernel, or (rows, columns).
        stride, padding: arguments of ``tf.nn.conv2d``.
        activation: whether to apply the ReLU.
        dense: the kernel is stored as a matrix, for a fully connected layer over one pixel.
    """
    rows, columns = size if isinstance(size, tuple) else (size, size)
    channels = int(inputs.shape[-1])
    shape = [channels, filters] if dense else [rows, columns, channels, filters]
    with tf.variable_scope(name):
        kernel = _parameter(parameters, "weights", shape, _he_initializer())
        kernel = tf.reshape(kernel, [1, 1] + shape) if dense else kernel
        net = tf.nn.conv2d(inputs, kernel, [1, stride, stride, 1], padding)
        if parameters.frozen is None:
            net = _batch_normalization(parameters, net)
        else:
            net = tf.nn.bias_add(net, _parameter(parameters, "biases", [filters]))
        return tf.nn.relu(net) if activation else net


def _fold(values: Mapping[str, np.ndarray], scope: str) -> Tuple[np.ndarray, np.ndarray]:
    """Return weights and biases of a convolution equal to one followed by normalization."""
    scale = _normalization_scale(values, scope)
    weights, mean, beta = (
        np.asarray(values["{}/{}".format(scope, name)], np.float64)
        for name in ("weights", "BatchNorm/moving_mean", "BatchNorm/beta")
    )
    return (weights * scale).astype(np.float32), (beta - mean * scale).astype(np.float32)


def _normalization_scale(values: Mapping[str, np.ndarray], scope: str) -> np.ndarray:
    """Return the factor of each channel in a batch normalization."""
    epsilon = _FACE_NET_EPSILON if scope.startswith(FACE_NET_SCOPE) else _R_NET_EPSILON
    variance = np.asarray(values[scope + "/BatchNorm/moving_variance"], np.float64)
    scale = 1.0 / np.sqrt(variance + epsilon)
    gamma = scope + "/BatchNorm/gamma"
    return scale * np.asarray(values[gamma], np.float64) if gamma in values else scale


def _batch_normalization(parameters: _Parameters, net: Tensor) -> Tensor:
    """Normalize [B, H, W, C] per channel, by the batch or by moving averages.

    Ioffe & Szegedy, "Batch Normalization" (ICML 2015).
    """
    with tf.variable_scope("BatchNorm"):
        shape = [int(net.shape[-1])]
        beta = _parameter(parameters, "beta", shape, tf.zeros_initializer())
        gamma = (
            _parameter(parameters, "gamma", shape, tf.ones_initializer())
            if parameters.has_gamma
            else tf.ones(shape)
        )
        mean = _parameter(parameters, "moving_mean", shape, tf.zeros_initializer(), trainable=False)
        variance = _parameter(
            parameters, "moving_variance", shape, tf.ones_initializer(), trainable=False
        )
        if not parameters.training:
            return tf.nn.fused_batch_norm(
                net, gamma, beta, mean, variance, epsilon=parameters.epsilon, is_training=False
            )[0]
        net, batch_mean, batch_variance = tf.nn.fused_batch_norm(
            net, gamma, beta, epsilon=parameters.epsilon, is_training=True
        )
        for average, value in ((mean, batch_mean), (variance, batch_variance)):
            update = tf.assign_sub(average, (1.0 - parameters.decay) * (average - value))
            tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update)
        return net


def _biased_convolution(
    parameters: _Parameters, inputs: Tensor, filters: int, initializer: Any = None
) -> Tensor:
    """1x1 convolution with a bias, in the current scope."""
    shape = [1, 1, int(inputs.shape[-1]), filters]
    kernel = _parameter(parameters, "weights", shape, initializer or _he_initializer())
    bias = _parameter(parameters, "biases", [filters], tf.zeros_initializer())
    return tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, [1, 1, 1, 1], "SAME"), bias)


def _parameter(
    parameters: _Parameters,
    name: str,
    shape: Sequence[int],
    initializer: Any = None,
    trainable: bool = True,
) -> Tensor:
    """Return a variable of the current scope, or the constant that replaces it."""
    scope = tf.get_variable_scope().name
    if parameters.frozen is not None:
        return parameters.frozen["{}/{}".format(scope, name)]
    trainable = trainable and not scope.startswith(FACE_NET_SCOPE)
    return tf.get_variable(name, shape, tf.float32, initializer, trainable=trainable)


def _he_initializer() -> Any:
    """He et al.'s initialization (ICCV 2015), as in Slim's resnet_arg_scope."""
    return tf.variance_scaling_initializer(
        scale=2.0, mode="fan_in", distribution="truncated_normal"
    )
