"""A linear model, mean plus basis times coefficients, as one TensorFlow operation with a gradient.

``csrc/decode/linear_model_op.cc`` holds the full contract.
"""

from typing import Tuple

import numpy as np

from mesh_renderer.operations import load_operations
from utils.tf_compat import Tensor, tf

_PANEL_WIDTH = 16  # kPanelWidth of csrc/decode/linear_model.h
_ALIGNMENT = 64  # bytes; TensorFlow uses the memory of an array so aligned without a copy


def evaluate_linear_model(coefficients: Tensor, basis: np.ndarray, mean: np.ndarray) -> Tensor:
    """Return mean + basis @ coefficients, [B, M], differentiable with respect to ``coefficients``.

    Args:
        coefficients: [B, K] float32; B may be unknown.
        basis: [M, K] array; the graph refers to a copy of it, laid out for the product.
        mean: [M] array; becomes a constant of the graph.

    Returns:
        [B, M] float32.
    """
    return load_operations().mesh_renderer_linear_model(
        coefficients=coefficients,
        panels=_refer_to_array(split_into_panels(basis)),
        mean=np.float32(mean),
    )


def split_into_panels(basis: np.ndarray) -> np.ndarray:
    """Split a basis [M, K] into panels [ceil(M / 16), K, 16] float32, padded with zeros."""
    values, components = basis.shape
    count = -(-values // _PANEL_WIDTH)
    whole = values // _PANEL_WIDTH
    panels = _aligned_zeros((count, components, _PANEL_WIDTH))

    # Whole panels at once, then the rest.
    cut = basis[: whole * _PANEL_WIDTH].reshape(whole, _PANEL_WIDTH, components)
    panels[:whole] = cut.transpose(0, 2, 1)
    if whole < count:
        rest = basis[whole * _PANEL_WIDTH :]
        panels[whole, :, : len(rest)] = rest.T
    return panels


def _refer_to_array(array: np.ndarray) -> Tensor:
    """Return a tensor that is an array of this process.

    A constant would be copied into the graph, and again by each pass of graph optimization: with
    the hundred megabytes of a face model that takes seconds, and gigabytes.
    """
    tensor = tf.py_func(lambda: array, [], tf.float32)
    tensor.set_shape(array.shape)
    return tensor


def _aligned_zeros(shape: Tuple[int, ...]) -> np.ndarray:
    size = 4 * int(np.prod(shape))
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(np.float32).reshape(shape)
