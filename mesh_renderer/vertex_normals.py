"""Vertex normals of a mesh as one TensorFlow operation with a gradient.

``csrc/decode/vertex_normals_op.cc`` holds the full contract.
"""

from typing import Union

import numpy as np

from mesh_renderer.operations import load_operations
from utils.tf_compat import Tensor


def vertex_normals(
    vertices: Tensor,
    triangles: Union[np.ndarray, Tensor],
    vertex_triangles: Union[np.ndarray, Tensor],
) -> Tensor:
    """Return unit vertex normals: the normalized sum of the unit normals around each vertex.

    Args:
        vertices: [B, N, 3] float32; B may be unknown.
        triangles: [F, 3] int32, counter-clockwise seen from outside, shared by the batch.
        vertex_triangles: [N, 8] int32, triangles around each vertex; F pads.

    Returns:
        [B, N, 3] float32, differentiable with respect to ``vertices``.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or indices out of range.
    """
    return load_operations().mesh_renderer_vertex_normals(
        vertices=vertices, triangles=triangles, vertex_triangles=vertex_triangles
    )
