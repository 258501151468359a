"""A linear model, mean plus basis times coefficients, as one TensorFlow operation with a gradient.

The full contract stands in ``csrc/linear_model_op.cc``.
"""

import numpy as np

from mesh_renderer.rasterize_triangles import operations

_PANEL_WIDTH = 16  # of csrc/linear_model.h


def linear_model(coefficients, basis, mean):
    """Return mean + basis @ coefficients, [B, M] float32, differentiable with respect to ``coefficients``.

    Args:
        coefficients: [B, K] float32; B may be unknown.
        basis: [M, K] array; becomes a constant of the graph, laid out for the product.
        mean: [M] array, likewise.
    """
    return operations().mesh_renderer_linear_model(
        coefficients=coefficients, panels=panels(basis), mean=np.float32(mean))


def panels(basis):
    """Cut a basis [M, K] into panels [ceil(M / 16), K, 16] float32, padded with zeros."""
    values, components = basis.shape
    count = -(-values // _PANEL_WIDTH)
    padded = np.zeros((count * _PANEL_WIDTH, components), np.float32)
    padded[:values] = basis
    return np.ascontiguousarray(padded.reshape(count, _PANEL_WIDTH, components).transpose(0, 2, 1))
