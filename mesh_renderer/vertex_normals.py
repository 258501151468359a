"""Vertex normals of a mesh as one TensorFlow operation with a gradient.

The full contract stands in ``csrc/vertex_normals_op.cc``.
"""

from mesh_renderer.operations import operations


def vertex_normals(vertices, triangles, vertex_triangles):
    """Return unit vertex normals: the normalised sum of the unit normals around each vertex.

    Args:
        vertices: [B, N, 3] float32; B may be unknown.
        triangles: [F, 3] int32, counter-clockwise seen from outside, shared by the batch.
        vertex_triangles: [N, 8] int32, the triangles around each vertex; F pads.

    Returns:
        [B, N, 3] float32, differentiable with respect to ``vertices``.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or indices out of range.
    """
    return operations().mesh_renderer_vertex_normals(
        vertices=vertices, triangles=triangles, vertex_triangles=vertex_triangles)
