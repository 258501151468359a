"""A linear model, mean plus basis times coefficients, as one TensorFlow operation with a gradient.

The full contract stands in ``csrc/linear_model_op.cc``.
"""

import numpy as np

from mesh_renderer.operations import operations
from utils.tf_compat import tf

_PANEL_WIDTH = 16  # of csrc/linear_model.h
_ALIGNMENT = 64  # bytes, at which TensorFlow takes an array's memory as it is


def linear_model(coefficients, basis, mean):
    """Return mean + basis @ coefficients, [B, M] float32, differentiable with respect to ``coefficients``.

    Args:
        coefficients: [B, K] float32; B may be unknown.
        basis: [M, K] array; the graph refers to a copy of it, laid out for the product.
        mean: [M] array; becomes a constant of the graph.
    """
    return operations().mesh_renderer_linear_model(
        coefficients=coefficients, panels=_array_of_process(panels(basis)), mean=np.float32(mean))


def panels(basis):
    """Cut a basis [M, K] into panels [ceil(M / 16), K, 16] float32, padded with zeros."""
    values, components = basis.shape
    count = -(-values // _PANEL_WIDTH)
    whole = values // _PANEL_WIDTH
    cut = _aligned_zeros((count, components, _PANEL_WIDTH))
    cut[:whole] = basis[:whole * _PANEL_WIDTH].reshape(whole, _PANEL_WIDTH, components).transpose(0, 2, 1)
    if whole < count:
        cut[whole, :, :values - whole * _PANEL_WIDTH] = basis[whole * _PANEL_WIDTH:].T
    return cut


def _array_of_process(array):
    """Return a tensor that is an array of this process.

    A constant would be copied into the graph, and again by each step of its optimisation: with
    the hundred megabytes of a face model that takes seconds, and gigabytes.
    """
    tensor = tf.py_func(lambda: array, [], tf.float32)
    tensor.set_shape(array.shape)
    return tensor


def _aligned_zeros(shape):
    size = 4 * int(np.prod(shape))
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin:begin + size].view(np.float32).reshape(shape)
