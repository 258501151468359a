"""Surfaces posed and lit in one pass, as one TensorFlow operation with a gradient.

The full contract stands in ``csrc/posed_surface_op.cc``.
"""

from typing import Any, NamedTuple

from mesh_renderer.operations import operations


class PosedSurface(NamedTuple):
    """Posed and lit surfaces."""

    world: Any  # [B, N, 3] positions
    normals: Any  # [B, N, 3] unit normals
    colors: Any  # [B, N, 3] albedo times light


def posed_surface(vertices, albedo, triangles, vertex_triangles, *, rotation, translation, light):
    """Pose and light surfaces.

    Args:
        vertices: [B, N, 3] float32, in model space; B may be unknown.
        albedo: [B, N, 3] float32.
        triangles: [F, 3] int32, counter-clockwise seen from outside, shared by the batch.
        vertex_triangles: [N, 8] int32, the triangles around each vertex; F pads.
        rotation: [B, 3, 3], for row vectors: world = vertices @ rotation + translation.
        translation: [B, 3].
        light: [B, 3, 9], of each channel the weights of 1, x, y, z, xy, yz, zx, zz, xx - yy, where
            (x, y, z) is the unit normal in the world.

    Returns:
        A :class:`PosedSurface`, differentiable with respect to all but the triangles.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or indices out of range.
    """
    return PosedSurface(*operations().mesh_renderer_posed_surface(
        vertices=vertices, albedo=albedo, rotation=rotation, translation=translation, light=light,
        triangles=triangles, vertex_triangles=vertex_triangles))
