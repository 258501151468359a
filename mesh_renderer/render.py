"""Rendering of meshes, from the world to an image: camera, rasterization, interpolation."""

from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from mesh_renderer import camera
from mesh_renderer.rasterize_triangles import (
    FRONT_MASK,
    PICTURE,
    interpolate_attributes,
    rasterize_triangles,
)
from utils.tf_compat import Tensor, tf


class RenderedMesh(NamedTuple):
    """A rendered batch; row 0 is the top row."""

    image: Tensor  # [B, H, W, C] float32, interpolated attributes, 0 where empty
    mask: Tensor  # [B, H, W, 1] float32, 1 where any triangle covers the pixel center, else 0
    front_mask: Tensor  # [B, H, W, 1] float32, 1 where a front triangle does, even if hidden
    triangle_ids: Tensor  # [B, H, W] int32; 0 where empty
    barycentric_coordinates: Tensor  # [B, H, W, 3] float32; 0 where empty
    z_buffer: Tensor  # [B, H, W] float32, normalized device z; 1 where empty


def render(
    world_vertices: Tensor,
    attributes: Tensor,
    triangles: np.ndarray,
    *,
    image_size: Union[int, Tuple[int, int]],
    focal_length: float,
    camera_distance: float,
    near: float,
    far: float,
    front_triangles: Optional[np.ndarray] = None,
) -> RenderedMesh:
    """Render meshes with a camera on the z axis that looks at the world's origin, y up.

    Hard visibility, no anti-aliasing, perspective-correct interpolation. Differentiable with
    respect to ``world_vertices`` (through the barycentric coordinates, not through visibility) and
    ``attributes``.

    Args:
        world_vertices: [B, N, 3] float32, world units; right-handed, x right, y up, z towards the
            camera. B may be unknown.
        attributes: [B, N, C] float32 per vertex, e.g. colors.
        triangles: [F, 3] int array, indices of vertices; both windings are drawn.
        image_size: pixels, side of a square image, or (height, width).
        focal_length: pixels.
        camera_distance: distance of the camera from the origin, world units.
        near: distance of the near plane from the camera, world units, > 0.
        far: distance of the far plane, > near.
        front_triangles: [f, 3] int array, triangles of the second mask, usually a subset of
            ``triangles``; None leaves that mask empty.

    Returns:
        A :class:`RenderedMesh`.
    """
    size = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    height, width = size
    view = camera.look_at((0, 0, camera_distance), (0, 0, 0), (0, 1, 0))
    projection = camera.perspective(focal_length, width, height, near, far)
    with tf.name_scope("render"):
        clip_vertices = camera.to_clip_space(world_vertices, projection.dot(view))
        return render_clip_space(
            clip_vertices,
            attributes,
            triangles,
            image_width=width,
            image_height=height,
            front_triangles=front_triangles,
        )


def render_clip_space(
    clip_vertices: Tensor,
    attributes: Tensor,
    triangles: np.ndarray,
    *,
    image_width: int,
    image_height: int,
    front_triangles: Optional[np.ndarray] = None,
) -> RenderedMesh:
    """Render meshes that any camera has transformed to clip space.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w.
        attributes: [B, N, C] float32, see :func:`render`.
        triangles: [F, 3] int array.
        image_width: columns.
        image_height: rows.
        front_triangles: [f, 3] int array or None, see :func:`render`.

    Returns:
        A :class:`RenderedMesh`.
    """
    all_triangles, layers = merge_front_triangles(triangles, front_triangles)
    pixels = rasterize_triangles(
        clip_vertices, all_triangles, image_width, image_height, layers=layers
    )
    image = interpolate_attributes(attributes, all_triangles, pixels)
    return RenderedMesh(
        image,
        pixels.mask,
        pixels.front_mask,
        pixels.triangle_ids,
        pixels.barycentric_coordinates,
        pixels.z_buffer,
    )


def merge_front_triangles(
    triangles: np.ndarray, front_triangles: Optional[np.ndarray]
) -> Tuple[np.ndarray, np.ndarray]:
    """Merge two sets of triangles, so that one pass draws both the picture and the front mask.

    Triangles with the same vertices, in any order, are the same: coverage does not depend on the
    order.

    Args:
        triangles: [F, 3] int array, the picture.
        front_triangles: [f, 3] int array, the front mask, or None.

    Returns:
        ([F + k, 3] int32, [F + k] uint8): the triangles of the picture, in order, then the k that
        only the front mask has; and the layers of each, see ``rasterize_triangles``.
    """
    triangles = np.asarray(triangles, np.int32).reshape(-1, 3)
    if front_triangles is None:
        return triangles, np.full(len(triangles), PICTURE, np.uint8)

    front_triangles = np.asarray(front_triangles, np.int32).reshape(-1, 3)
    count = int(max(triangles.max(initial=0), front_triangles.max(initial=0))) + 1
    keys = _vertex_set_keys(triangles, count)
    front_keys = _vertex_set_keys(front_triangles, count)
    extra = front_triangles[~np.isin(front_keys, keys)]

    layers = np.full(len(triangles) + len(extra), FRONT_MASK, np.uint8)
    layers[: len(triangles)] = np.where(np.isin(keys, front_keys), PICTURE + FRONT_MASK, PICTURE)
    return np.concatenate([triangles, extra]), layers


def _vertex_set_keys(triangles: np.ndarray, count: int) -> np.ndarray:
    """Return one comparable value per triangle, the same for every order of its vertices.

    Args:
        triangles: [F, 3] int32.
        count: number of vertices, or more.
    """
    ordered = np.sort(triangles, axis=1)
    if count < 2**21:  # three numbers fit into one of 63 bits, which is compared ten times faster
        low, middle, high = ordered.astype(np.int64).T
        return (high * count + middle) * count + low
    return np.ascontiguousarray(ordered).view([("", ordered.dtype)] * 3).reshape(-1)
