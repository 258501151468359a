"""The native core without TensorFlow: its library, and the rasterizer on numpy arrays."""

import ctypes
import functools
from typing import Any, NamedTuple, Optional

import numpy as np

from mesh_renderer.build import build_core_library


class RasterizedImages(NamedTuple):
    """Pixels of a batch; ``rasterize_triangles.Rasterization`` has the same fields as tensors."""

    barycentric_coordinates: np.ndarray  # [B, H, W, 3] float32
    triangle_ids: np.ndarray  # [B, H, W] int32
    z_buffer: np.ndarray  # [B, H, W] float32
    mask: Any  # [B, H, W, 1] float32, or None
    front_mask: Any  # [B, H, W, 1] float32, or None


def rasterize(
    clip_vertices: np.ndarray,
    triangles: np.ndarray,
    image_width: int,
    image_height: int,
    *,
    layers: Optional[np.ndarray] = None,
    threads: int = 1,
    masks: bool = True,
    out: Optional[RasterizedImages] = None,
) -> RasterizedImages:
    """Draw a batch of meshes by the contract of ``rasterize_triangles``.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w.
        triangles: [F, 3] int32, indices of vertices.
        image_width: columns.
        image_height: rows.
        layers: [F] uint8 or None, see ``rasterize_triangles``.
        threads: number of images drawn at once.
        masks: also draw the two masks.
        out: result of an earlier call with the same sizes, to overwrite.

    Returns:
        :class:`RasterizedImages`; both masks are None without ``masks``.

    Raises:
        ValueError: wrong shapes, or vertex indices out of range.
    """
    # 1. Check the inputs.
    clip_vertices = np.ascontiguousarray(clip_vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    if clip_vertices.ndim != 3 or clip_vertices.shape[2] != 4 or triangles.shape[1:] != (3,):
        raise ValueError(
            "need clip_vertices [B, N, 4] and triangles [F, 3], got {} and {}".format(
                clip_vertices.shape, triangles.shape
            )
        )
    if layers is not None:
        layers = np.ascontiguousarray(layers, np.uint8)
        if layers.shape != triangles.shape[:1]:
            raise ValueError("need layers [F], got {}".format(layers.shape))
    if image_width < 1 or image_height < 1:
        raise ValueError("images need at least one pixel")

    # 2. Draw.
    batch, vertex_count = clip_vertices.shape[:2]
    if out is None:
        out = _allocate(batch, image_height, image_width, masks)
    failed = load_library().mesh_renderer_rasterize_triangles(
        pointer(clip_vertices),
        pointer(triangles),
        pointer(layers),
        ctypes.c_int64(batch),
        ctypes.c_int64(vertex_count),
        ctypes.c_int64(len(triangles)),
        ctypes.c_int(image_width),
        ctypes.c_int(image_height),
        ctypes.c_int(threads),
        *(pointer(array) for array in out),
    )
    if failed:
        raise ValueError("triangles must index vertices 0 to {}".format(vertex_count - 1))
    return out


def _allocate(batch: int, height: int, width: int, masks: bool) -> RasterizedImages:
    shape = (batch, height, width)
    return RasterizedImages(
        np.empty(shape + (3,), np.float32),
        np.empty(shape, np.int32),
        np.empty(shape, np.float32),
        np.empty(shape + (1,), np.float32) if masks else None,
        np.empty(shape + (1,), np.float32) if masks else None,
    )


def pointer(array: Optional[np.ndarray]) -> Optional[ctypes.c_void_p]:
    """Return the address of an array as an argument of a C function, or None for None.

    Args:
        array: densely packed array.
    """
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


@functools.lru_cache(maxsize=None)
def load_library() -> Any:
    """Return the core's C functions, a ``ctypes.CDLL``, compiled first if necessary.

    Raises:
        InputError: no C++ compiler, or it failed.
    """
    library = ctypes.CDLL(build_core_library())
    for function in (
        library.mesh_renderer_format_rows,
        library.mesh_renderer_format_triangles,
        library.mesh_renderer_compress_png,
    ):
        function.restype = ctypes.c_int64
    return library
