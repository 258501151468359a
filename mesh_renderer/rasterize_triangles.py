"""The rasterizer and attribute interpolation as TensorFlow operations with gradients.

Clip space is OpenGL's (x right, y up; visible where -w <= x, y, z <= w). Row 0 of every image is
the top row; pixel centers are at half-integers. ``csrc/rasterize/*_op.cc`` hold the full contracts.
"""

from typing import NamedTuple, Union

import numpy as np

from mesh_renderer.operations import load_operations
from mesh_renderer.published import published_is_chosen, rasterize_as_published
from utils.tf_compat import Tensor

# Targets of a triangle; the values of TriangleLayer in csrc/rasterize/rasterize_triangles.h.
PICTURE, FRONT_MASK = 1, 2


class Rasterization(NamedTuple):
    """Pixels of a batch."""

    barycentric_coordinates: Tensor  # [B, H, W, 3] float32, perspective-correct; 0 where empty
    triangle_ids: Tensor  # [B, H, W] int32; 0 where empty
    z_buffer: Tensor  # [B, H, W] float32, normalized device z, -1 near to 1 far; 1 where empty
    mask: Tensor  # [B, H, W, 1] float32, 1 where any triangle covers the pixel center, else 0
    front_mask: Tensor  # [B, H, W, 1] float32, 1 where a FRONT_MASK triangle does, even if hidden


def rasterize_triangles(
    clip_vertices: Tensor,
    triangles: Union[np.ndarray, Tensor],
    image_width: int,
    image_height: int,
    *,
    layers: Union[np.ndarray, Tensor, None] = None,
) -> Rasterization:
    """Draw triangle meshes with hard visibility: the nearest triangle at each pixel center.

    Differentiable: ``barycentric_coordinates`` with respect to ``clip_vertices``, visibility held
    fixed. Both windings are drawn; of equally near triangles the last is shown; triangles with a
    vertex that is not finite are skipped. ``mesh_renderer.published`` can replace this rasterizer
    by the published one.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w; B may be unknown.
        triangles: [F, 3] int32, indices of vertices, shared by the batch.
        image_width: columns.
        image_height: rows.
        layers: [F] uint8, targets of each triangle: ``PICTURE``, ``FRONT_MASK`` or their sum; None
            draws all triangles into the picture and leaves the front mask empty.

    Returns:
        A :class:`Rasterization`.

    Raises:
        tf.errors.InvalidArgumentError: when run, for wrong shapes or vertex indices out of range.
    """
    if published_is_chosen():
        targets = np.full(len(triangles), PICTURE, np.uint8) if layers is None else layers
        targets = np.asarray(targets)
        return Rasterization(
            *rasterize_as_published(
                clip_vertices,
                triangles,
                image_width,
                image_height,
                drawn=np.flatnonzero(targets & PICTURE),
                front=np.flatnonzero(targets & FRONT_MASK),
            )
        )
    return Rasterization(
        *load_operations().mesh_renderer_rasterize_triangles(
            clip_vertices=clip_vertices,
            triangles=triangles,
            layers=np.zeros([0], np.uint8) if layers is None else layers,
            image_width=image_width,
            image_height=image_height,
        )
    )


def interpolate_attributes(
    attributes: Tensor, triangles: Union[np.ndarray, Tensor], rasterization: Rasterization
) -> Tensor:
    """Interpolate vertex attributes over the covered pixels.

    Differentiable with respect to ``attributes`` and, through the barycentric coordinates, to the
    vertices.

    Args:
        attributes: [B, N, C] float32, any channels.
        triangles: [F, 3] int32, the rasterized triangles.
        rasterization: result of :func:`rasterize_triangles`.

    Returns:
        [B, H, W, C] float32, 0 where empty.
    """
    return load_operations().mesh_renderer_interpolate_attributes(
        attributes=attributes,
        triangles=triangles,
        triangle_ids=rasterization.triangle_ids,
        barycentric_coordinates=rasterization.barycentric_coordinates,
    )
