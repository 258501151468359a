"""The CUDA kernels on numpy arrays, without TensorFlow: for checks against ``core`` and for timing.

Every call copies to the GPU and back; the milliseconds that it returns are the kernels' alone.
"""

import ctypes
import functools
from typing import Any, NamedTuple

import numpy as np

from mesh_renderer.build import cuda_library
from mesh_renderer.core import pointer

_NAME_SIZE = 256


class Timed(NamedTuple):
    """What a GPU computed, and how long it took."""

    arrays: Any  # tuple of arrays
    milliseconds: Any  # [repetitions] float32, of the kernels, by the GPU's clock


def device_count():
    """Return how many CUDA devices can be used: 0 without driver, or without compiled kernels."""
    return 0 if library() is None else library().mesh_renderer_cuda_device_count()


def device_name():
    """Return the name of the GPU that works here.

    Raises:
        RuntimeError: there is none.
    """
    name = ctypes.create_string_buffer(_NAME_SIZE)
    _call("device_name", name, ctypes.c_int(_NAME_SIZE))
    return name.value.decode()


def rasterize(clip_vertices, triangles, image_width, image_height, *, layers=None, repetitions=1):
    """Draw a batch of meshes.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w.
        triangles: [F, 3] int32; those with vertices that do not exist are left out.
        image_width: columns.
        image_height: rows.
        layers: [F] uint8 or None, see ``rasterize_triangles``.
        repetitions: how often to draw.

    Returns:
        :class:`Timed`, with the arrays of ``core.rasterize``.

    Raises:
        RuntimeError: no GPU, or it failed; says how.
    """
    shape = (len(clip_vertices), image_height, image_width)
    arrays = (np.empty(shape + (3,), np.float32), np.empty(shape, np.int32), np.empty(shape, np.float32),
              np.empty(shape + (1,), np.float32), np.empty(shape + (1,), np.float32))
    times, flags = _timing(repetitions)
    _call("rasterize_triangles", _pointer(clip_vertices), _pointer(triangles), _pointer(layers),
          *_sizes(clip_vertices, triangles, shape), *flags, *(_pointer(array) for array in arrays))
    return Timed(arrays, times)


def rasterize_grad(clip_vertices, triangles, barycentrics, triangle_ids, d_barycentrics, *, repetitions=1):
    """Return :class:`Timed` with the gradient [B, N, 4] of the barycentric coordinates by the vertices.

    Arguments as the operation MeshRendererRasterizeTrianglesGrad; errors as :func:`rasterize`.
    """
    d_clip_vertices = np.empty_like(clip_vertices)
    times, flags = _timing(repetitions)
    _call("rasterize_triangles_grad", _pointer(clip_vertices), _pointer(triangles),
          *_sizes(clip_vertices, triangles, triangle_ids.shape), *flags, _pointer(barycentrics),
          _pointer(triangle_ids), _pointer(d_barycentrics), _pointer(d_clip_vertices))
    return Timed((d_clip_vertices,), times)


def interpolate(attributes, triangles, barycentrics, triangle_ids, *, repetitions=1):
    """Return :class:`Timed` with the image [B, H, W, C] of attributes [B, N, C]; errors as :func:`rasterize`."""
    image = np.empty(triangle_ids.shape + attributes.shape[2:], np.float32)
    times, flags = _timing(repetitions)
    _call("interpolate_attributes", _pointer(attributes), ctypes.c_int64(attributes.shape[2]), _pointer(triangles),
          *_sizes(attributes, triangles, triangle_ids.shape), *flags, _pointer(barycentrics), _pointer(triangle_ids),
          _pointer(image))
    return Timed((image,), times)


def interpolate_grad(attributes, triangles, barycentrics, triangle_ids, d_image, *, repetitions=1):
    """Return :class:`Timed` with the gradients by attributes and by barycentric coordinates.

    Arguments as the operation MeshRendererInterpolateAttributesGrad; errors as :func:`rasterize`.
    """
    d_attributes, d_barycentrics = np.empty_like(attributes), np.empty_like(barycentrics)
    times, flags = _timing(repetitions)
    _call("interpolate_attributes_grad", _pointer(attributes), ctypes.c_int64(attributes.shape[2]),
          _pointer(triangles), *_sizes(attributes, triangles, triangle_ids.shape), *flags, _pointer(barycentrics),
          _pointer(triangle_ids), _pointer(d_image), _pointer(d_attributes), _pointer(d_barycentrics))
    return Timed((d_attributes, d_barycentrics), times)


def copy_milliseconds(size, repetitions=1):
    """Return how long copies of ``size`` bytes within the GPU's memory take, [repetitions] milliseconds."""
    times, flags = _timing(repetitions)
    _call("copy", ctypes.c_int64(size), *flags)
    return times


def _timing(repetitions):
    times = np.zeros(repetitions, np.float32)
    return times, (ctypes.c_int(repetitions), _pointer(times))


def _sizes(vertices, triangles, image_shape):
    batch, height, width = image_shape
    return (ctypes.c_int64(batch), ctypes.c_int64(vertices.shape[1]), ctypes.c_int64(len(triangles)),
            ctypes.c_int(width), ctypes.c_int(height))


def _call(name, *arguments):
    if library() is None:
        raise RuntimeError("the CUDA kernels are not compiled: there is no nvcc")
    function = getattr(library(), "mesh_renderer_cuda_" + name)
    function.restype = ctypes.c_char_p
    error = function(*arguments)
    if error is not None:
        raise RuntimeError("CUDA: {}".format(error.decode()))


def _pointer(array):
    if array is not None and not array.flags.c_contiguous:
        raise ValueError("arrays must be densely packed")
    return pointer(array)


@functools.lru_cache(maxsize=None)
def library():
    """Return the CUDA kernels with their C interface, compiled first if need be; None without nvcc."""
    path = cuda_library()
    return None if path is None else ctypes.CDLL(path)
