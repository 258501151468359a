"""The mesh generator: from a photo's embedding and its coefficient mesh to a refined mesh.

A decoder grows an image-dependent mesh from the embedding, coarse to fine over the mesh pyramid
(Ranjan et al., CoMA, ECCV 2018); a refiner filters the coefficient mesh; one convolution joins
the two. Variables have the published names.
"""

from typing import Any, Container, NamedTuple, Optional, Tuple

import numpy as np
import scipy.sparse

from gcn.chebyshev import (
    Laplacian,
    chebyshev_convolution,
    laplacian_tensors,
    sparse_product,
    sparse_tensor,
)
from gcn.pyramid import MeshPyramid
from utils.tf_compat import Tensor, tf

GENERATOR_SCOPE = "gcn_mesh_generator"

# The published head gives positions, tanh of a convolution: the face must lie within 1 dm of the
# origin. The residual head adds a convolution, zero at first, to the coefficient mesh, and joins
# decoder and refiner before their last ReLU: behind it, their three features each may all become
# zero early in training, and with them the gradient.
HEADS = ("absolute", "residual")
_HEAD_SCOPES = {"absolute": "gcn_mesh_concat", "residual": "gcn_mesh_offset"}

_COARSEST_FEATURES = 32
_DECODER_WIDTHS = (16, 16, 16, 3)
_INITIAL_BIAS = 0.1


class GeneratedMesh(NamedTuple):
    """The output of the generator."""

    vertices: Tensor  # [B, N, 3], model space, dm


class PyramidTensors(NamedTuple):
    """The matrices of a mesh pyramid as constants of one TensorFlow graph."""

    sizes: Tuple[int, ...]  # numbers of vertices, finest first
    laplacians: Tuple[Laplacian, ...]  # one per level
    upsampling: Tuple[Any, ...]  # SparseTensor from each coarser level to the next finer
    selection: Tuple[Any, ...]  # SparseTensor that selects each next coarser level's vertices


def pyramid_tensors(pyramid: MeshPyramid) -> PyramidTensors:
    """Make constants of a mesh pyramid in the current graph."""
    return PyramidTensors(
        sizes=tuple(len(vertices) for vertices in pyramid.vertices),
        laplacians=tuple(laplacian_tensors(matrix) for matrix in pyramid.laplacians),
        upsampling=tuple(sparse_tensor(matrix) for matrix in pyramid.upsampling),
        selection=tuple(
            sparse_tensor(_selection_matrix(kept, matrix.shape[0]))
            for kept, matrix in zip(pyramid.kept, pyramid.upsampling)
        ),
    )


def generate_mesh(
    embedding: Tensor,
    coefficient_mesh: Tensor,
    pyramid: PyramidTensors,
    *,
    head: str = "absolute",
    reuse: Optional[bool] = None,
) -> GeneratedMesh:
    """Build the generator.

    Args:
        embedding: [B, E] float32, features of the photo from the frozen networks (R-Net's pool5
            beside the identity network's pooled features; 3,840 wide in the published system).
            E is static.
        coefficient_mesh: [B, N, 3] float32, the face of R-Net's coefficients before pose, in dm.
        pyramid: mesh pyramid with four steps whose finest level is that mesh.
        head: one of :data:`HEADS`.
        reuse: argument of ``tf.variable_scope``.
    """
    with tf.variable_scope(GENERATOR_SCOPE, reuse=reuse):
        # 1. decoder and refiner
        rectified = head == "absolute"
        decoded = _decode(embedding, pyramid, rectified)
        refined = _refine(_vertices_first(coefficient_mesh, pyramid.sizes[0]), pyramid, rectified)

        # 2. their features joined to positions or offsets
        joined = tf.concat([decoded, refined], axis=2)
        with tf.variable_scope(_HEAD_SCOPES[head]):
            initializer = tf.zeros_initializer() if head == "residual" else None
            output = chebyshev_convolution(
                joined, pyramid.laplacians[0], 3, initializer=initializer
            )
        output = tf.transpose(output, [1, 0, 2])
        vertices = coefficient_mesh + output if head == "residual" else tf.tanh(output)
    return GeneratedMesh(vertices)


def head_of_variables(names: Container[str]) -> Optional[str]:
    """Return the head of a checkpoint's generator, one of :data:`HEADS`; None without generator.

    Args:
        names: variable names of the checkpoint.
    """
    for head, scope in _HEAD_SCOPES.items():
        if "{}/{}/weights".format(GENERATOR_SCOPE, scope) in names:
            return head
    return None


def _decode(embedding: Tensor, pyramid: PyramidTensors, rectified: bool) -> Tensor:
    """Grow [N, B, 3] from an embedding [B, E]; if ``rectified``, it ends in a ReLU."""
    coarsest = pyramid.sizes[-1]
    with tf.variable_scope("gcn_mesh_decoder"):
        with tf.variable_scope("fc"):
            signal = _dense(embedding, coarsest * _COARSEST_FEATURES)
        signal = tf.reshape(signal, [-1, coarsest, _COARSEST_FEATURES])
        signal = _vertices_first(signal, coarsest)
        steps = reversed(range(len(pyramid.upsampling)))
        for index, (level, width) in enumerate(zip(steps, _DECODER_WIDTHS), 1):
            signal = sparse_product(pyramid.upsampling[level], signal)
            signal = _residual_block(
                signal,
                pyramid.laplacians[level],
                width,
                "resblock{}".format(index),
                rectified=rectified or level > 0,
            )
    return signal


def _refine(signal: Tensor, pyramid: PyramidTensors, rectified: bool) -> Tensor:
    """Filter the coefficient mesh [N, B, 3] at the finest level and the one below."""
    fine, coarse = pyramid.laplacians[:2]
    with tf.variable_scope("gcn_mesh_refiner"):
        signal = _residual_block(signal, fine, 16, "resblock1")
        signal = sparse_product(pyramid.selection[0], signal)
        signal = _residual_block(signal, coarse, 32, "resblock2")
        signal = _residual_block(signal, coarse, 32, "resblock3")
        signal = sparse_product(pyramid.upsampling[0], signal)
        signal = _residual_block(signal, fine, 16, "resblock4")
        return _residual_block(signal, fine, 3, "resblock5", rectified=rectified)


def _residual_block(
    signal: Tensor, laplacian: Laplacian, width: int, name: str, rectified: bool = True
) -> Tensor:
    """Two convolutions and a shortcut, which mixes features if the widths differ.

    If ``rectified``, a last ReLU follows the sum.
    """
    with tf.variable_scope(name):
        shortcut = signal
        if int(signal.shape[2]) != width:
            with tf.variable_scope("shortcut"):
                shortcut = chebyshev_convolution(signal, None, width, order=1)
        with tf.variable_scope("filter1"):
            signal = chebyshev_convolution(signal, laplacian, width)
        with tf.variable_scope("bias_relu1"):
            signal = _biased_relu(signal)
        with tf.variable_scope("filter2"):
            signal = chebyshev_convolution(signal, laplacian, width)
        with tf.variable_scope("bias_relu2"):
            signal = signal + shortcut
            return _biased_relu(signal) if rectified else _biased(signal)


def _biased_relu(signal: Tensor) -> Tensor:
    return tf.nn.relu(_biased(signal))


def _biased(signal: Tensor) -> Tensor:
    bias = tf.get_variable(
        "bias", [1, 1, int(signal.shape[2])], tf.float32, tf.constant_initializer(_INITIAL_BIAS)
    )
    return signal + bias


def _dense(inputs: Tensor, width: int) -> Tensor:
    """Fully connected layer with ReLU."""
    weights = tf.get_variable(
        "weights",
        [int(inputs.shape[1]), width],
        tf.float32,
        tf.truncated_normal_initializer(stddev=0.1),
    )
    bias = tf.get_variable("bias", [width], tf.float32, tf.constant_initializer(_INITIAL_BIAS))
    return tf.nn.relu(tf.matmul(inputs, weights) + bias)


def _vertices_first(signal: Tensor, count: int) -> Tensor:
    """Turn [B, N, F] into [N, B, F], with N static."""
    signal = tf.transpose(signal, [1, 0, 2])
    signal.set_shape([count, None, None])
    return signal


def _selection_matrix(kept: np.ndarray, count: int) -> scipy.sparse.csr_matrix:
    """Return the matrix that selects vertices ``kept`` out of ``count``.

    Compared with ``tf.gather``, its gradient is a product again.
    """
    return scipy.sparse.csr_matrix(
        (np.ones(len(kept)), (np.arange(len(kept)), kept)), shape=(len(kept), count)
    )
