"""The rasteriser as TensorFlow operations with gradients.

Clip space is OpenGL's (x right, y up; visible where -w <= x, y, z <= w). Row 0 of every image
is the top row; pixel centres are at half-integers. The full contract of each operation stands
in ``csrc/rasterize_triangles_op.cc``.
"""

from typing import Any, NamedTuple

import numpy as np

from mesh_renderer.operations import operations
from mesh_renderer.published import published_is_chosen, rasterize_as_published

# What a triangle is drawn into; the numbers of csrc/rasterize_triangles.h.
PICTURE, FRONT_MASK = 1, 2


class Rasterization(NamedTuple):
    """What each pixel of a batch shows."""

    barycentric_coordinates: Any  # [B, H, W, 3] float32, perspective-correct; zeros where empty
    triangle_ids: Any  # [B, H, W] int32; 0 where empty
    z_buffer: Any  # [B, H, W] float32, normalised device z, -1 near to 1 far; 1 where empty
    mask: Any  # [B, H, W, 1] float32, 1 where any triangle covers the pixel centre, else 0
    front_mask: Any  # [B, H, W, 1] float32, 1 where a FRONT_MASK triangle covers, seen or hidden


def rasterize_triangles(clip_vertices, triangles, image_width, image_height, *, layers=None):
    """Draw triangle meshes with hard visibility, the nearest triangle at each pixel centre.

    Differentiable: ``barycentric_coordinates`` with respect to ``clip_vertices``, visibility
    held fixed. Both windings are drawn; of equally near triangles the last is shown; triangles
    with a vertex that is not finite are skipped. ``mesh_renderer.published`` says how the published
    rasteriser is put in its place.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w; B may be unknown.
        triangles: [F, 3] int32, indices of vertices, shared by the batch.
        image_width: int, columns.
        image_height: int, rows.
        layers: [F] uint8, what each triangle is drawn into, a sum of ``PICTURE`` and
            ``FRONT_MASK``; None draws all into the picture and leaves the front mask empty.

    Returns:
        A :class:`Rasterization`.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or vertices that do not exist.
    """
    if published_is_chosen():
        layers = np.full(len(triangles), PICTURE, np.uint8) if layers is None else np.asarray(layers)
        return Rasterization(*rasterize_as_published(
            clip_vertices, triangles, image_width, image_height,
            drawn=np.flatnonzero(layers & PICTURE), front=np.flatnonzero(layers & FRONT_MASK)))
    layers = np.zeros([0], np.uint8) if layers is None else layers
    return Rasterization(*operations().mesh_renderer_rasterize_triangles(
        clip_vertices=clip_vertices, triangles=triangles, layers=layers,
        image_width=image_width, image_height=image_height))


def interpolate_attributes(attributes, triangles, rasterization):
    """Interpolate vertex attributes over the pixels that a rasterisation covers.

    Differentiable with respect to ``attributes`` and, through the barycentric coordinates, to
    the vertices.

    Args:
        attributes: [B, N, C] float32, any channels.
        triangles: [F, 3] int32, the triangles that were rasterised.
        rasterization: a :class:`Rasterization`.

    Returns:
        [B, H, W, C] float32, 0 where empty.
    """
    return operations().mesh_renderer_interpolate_attributes(
        attributes=attributes, triangles=triangles, triangle_ids=rasterization.triangle_ids,
        barycentric_coordinates=rasterization.barycentric_coordinates)
