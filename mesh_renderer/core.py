"""The rasteriser's core on numpy arrays, without TensorFlow: for benchmarks and cross-checks."""

import ctypes
import functools

import numpy as np

from mesh_renderer.build import core_library


def rasterize(clip_vertices, triangles, image_width, image_height, *, layers=None, threads=1, masks=True,
              out=None):
    """Draw a batch of meshes; the contract is that of ``rasterize_triangles``.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w.
        triangles: [F, 3] int32, indices of vertices.
        image_width: columns.
        image_height: rows.
        layers: [F] uint8 or None, see ``rasterize_triangles``.
        threads: images drawn at once.
        masks: draw the two masks as well.
        out: what an earlier call of the same sizes returned, to be overwritten.

    Returns:
        barycentric coordinates [B, H, W, 3] float32, triangle ids [B, H, W] int32, z buffer
        [B, H, W] float32, mask and front mask [B, H, W, 1] float32 (None without ``masks``).

    Raises:
        ValueError: wrong shapes, or triangles with vertices that do not exist.
    """
    clip_vertices = np.ascontiguousarray(clip_vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    if clip_vertices.ndim != 3 or clip_vertices.shape[2] != 4 or triangles.shape[1:] != (3,):
        raise ValueError("need clip_vertices [B, N, 4] and triangles [F, 3], got {} and {}".format(
            clip_vertices.shape, triangles.shape))
    if layers is not None:
        layers = np.ascontiguousarray(layers, np.uint8)
        if layers.shape != triangles.shape[:1]:
            raise ValueError("need layers [F], got {}".format(layers.shape))
    if image_width < 1 or image_height < 1:
        raise ValueError("images need at least one pixel")
    batch, vertex_count = clip_vertices.shape[:2]
    if out is None:
        out = _allocate(batch, image_height, image_width, masks)
    failed = library().mesh_renderer_rasterize_triangles(
        pointer(clip_vertices), pointer(triangles), pointer(layers), ctypes.c_int64(batch),
        ctypes.c_int64(vertex_count), ctypes.c_int64(len(triangles)), ctypes.c_int(image_width),
        ctypes.c_int(image_height), ctypes.c_int(threads), *(pointer(array) for array in out))
    if failed:
        raise ValueError("triangles must index vertices 0 to {}".format(vertex_count - 1))
    return out


def _allocate(batch, height, width, masks):
    shape = (batch, height, width)
    pair = [np.empty(shape + (1,), np.float32) if masks else None for _ in range(2)]
    return (np.empty(shape + (3,), np.float32), np.empty(shape, np.int32), np.empty(shape, np.float32),
            pair[0], pair[1])


def pointer(array):
    """Return the address of an array for a C function, or None for None; the array must be densely packed."""
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


@functools.lru_cache(maxsize=None)
def library():
    """Return the core with its C interface, compiled first if need be."""
    loaded = ctypes.CDLL(core_library())
    for function in (loaded.mesh_renderer_format_rows, loaded.mesh_renderer_format_triangles):
        function.restype = ctypes.c_int64
    return loaded
