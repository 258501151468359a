"""The CUDA kernels on numpy arrays, without TensorFlow: for comparison with ``core``, and timing.

Every call copies to the GPU and back; the durations in the results are those of the kernels alone.
"""

import ctypes
import functools
import os
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mesh_renderer.build import build_cuda_library
from mesh_renderer.core import pointer

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_SOURCES = (
    "rasterize/rasterize_triangles.cu",
    os.path.join(_FOLDER, "rasterize_triangles_cuda_c.cc"),
)
_NAME_SIZE = 256


class Timed(NamedTuple):
    """Results of a GPU, and their durations."""

    arrays: Tuple[np.ndarray, ...]
    milliseconds: np.ndarray  # [repetitions] float32, durations of the kernels by the GPU's clock


def device_name() -> str:
    """Return the name of the current GPU.

    Raises:
        RuntimeError: there is no GPU.
    """
    name = ctypes.create_string_buffer(_NAME_SIZE)
    _call("device_name", name, ctypes.c_int(_NAME_SIZE))
    return name.value.decode()


def rasterize(
    clip_vertices: np.ndarray,
    triangles: np.ndarray,
    image_width: int,
    image_height: int,
    *,
    layers: Optional[np.ndarray] = None,
    repetitions: int = 1,
) -> Timed:
    """Draw a batch of meshes.

    Args:
        clip_vertices: [B, N, 4] float32, clip-space x, y, z, w.
        triangles: [F, 3] int32; triangles with vertex indices out of range are skipped.
        image_width: columns.
        image_height: rows.
        layers: [F] uint8 or None, see ``rasterize_triangles``.
        repetitions: number of times to draw.

    Returns:
        :class:`Timed`, with the arrays of ``core.rasterize``.

    Raises:
        RuntimeError: no GPU, or its error.
    """
    shape = (len(clip_vertices), image_height, image_width)
    arrays = (
        np.empty(shape + (3,), np.float32),
        np.empty(shape, np.int32),
        np.empty(shape, np.float32),
        np.empty(shape + (1,), np.float32),
        np.empty(shape + (1,), np.float32),
    )
    times, timing = _timing_arguments(repetitions)
    _call(
        "rasterize_triangles",
        _pointer(clip_vertices),
        _pointer(triangles),
        _pointer(layers),
        *_size_arguments(clip_vertices, triangles, shape),
        *timing,
        *(_pointer(array) for array in arrays),
    )
    return Timed(arrays, times)


def rasterize_grad(
    clip_vertices: np.ndarray,
    triangles: np.ndarray,
    barycentrics: np.ndarray,
    triangle_ids: np.ndarray,
    d_barycentrics: np.ndarray,
    *,
    repetitions: int = 1,
) -> Timed:
    """Return the gradient [B, N, 4] of the barycentric coordinates by the vertices.

    Arguments as the operation MeshRendererRasterizeTrianglesGrad; errors as :func:`rasterize`.
    """
    d_clip_vertices = np.empty_like(clip_vertices)
    times, timing = _timing_arguments(repetitions)
    _call(
        "rasterize_triangles_grad",
        _pointer(clip_vertices),
        _pointer(triangles),
        *_size_arguments(clip_vertices, triangles, triangle_ids.shape),
        *timing,
        _pointer(barycentrics),
        _pointer(triangle_ids),
        _pointer(d_barycentrics),
        _pointer(d_clip_vertices),
    )
    return Timed((d_clip_vertices,), times)


def interpolate(
    attributes: np.ndarray,
    triangles: np.ndarray,
    barycentrics: np.ndarray,
    triangle_ids: np.ndarray,
    *,
    repetitions: int = 1,
) -> Timed:
    """Return the image [B, H, W, C] of attributes [B, N, C]; errors as :func:`rasterize`."""
    image = np.empty(triangle_ids.shape + attributes.shape[2:], np.float32)
    times, timing = _timing_arguments(repetitions)
    _call(
        "interpolate_attributes",
        _pointer(attributes),
        ctypes.c_int64(attributes.shape[2]),
        _pointer(triangles),
        *_size_arguments(attributes, triangles, triangle_ids.shape),
        *timing,
        _pointer(barycentrics),
        _pointer(triangle_ids),
        _pointer(image),
    )
    return Timed((image,), times)


def interpolate_grad(
    attributes: np.ndarray,
    triangles: np.ndarray,
    barycentrics: np.ndarray,
    triangle_ids: np.ndarray,
    d_image: np.ndarray,
    *,
    repetitions: int = 1,
) -> Timed:
    """Return the gradients by the attributes and by the barycentric coordinates.

    Arguments as the operation MeshRendererInterpolateAttributesGrad; errors as :func:`rasterize`.
    """
    d_attributes = np.empty_like(attributes)
    d_barycentrics = np.empty_like(barycentrics)
    times, timing = _timing_arguments(repetitions)
    _call(
        "interpolate_attributes_grad",
        _pointer(attributes),
        ctypes.c_int64(attributes.shape[2]),
        _pointer(triangles),
        *_size_arguments(attributes, triangles, triangle_ids.shape),
        *timing,
        _pointer(barycentrics),
        _pointer(triangle_ids),
        _pointer(d_image),
        _pointer(d_attributes),
        _pointer(d_barycentrics),
    )
    return Timed((d_attributes, d_barycentrics), times)


def copy_milliseconds(size: int, repetitions: int = 1) -> np.ndarray:
    """Return durations [repetitions], ms, of copies of ``size`` bytes within the GPU's memory."""
    times, timing = _timing_arguments(repetitions)
    _call("copy", ctypes.c_int64(size), *timing)
    return times


def _timing_arguments(repetitions: int) -> Tuple[np.ndarray, Tuple[Any, ...]]:
    times = np.zeros(repetitions, np.float32)
    return times, (ctypes.c_int(repetitions), _pointer(times))


def _size_arguments(
    vertices: np.ndarray, triangles: np.ndarray, image_shape: Sequence[int]
) -> Tuple[Any, ...]:
    batch, height, width = image_shape
    return (
        ctypes.c_int64(batch),
        ctypes.c_int64(vertices.shape[1]),
        ctypes.c_int64(len(triangles)),
        ctypes.c_int(width),
        ctypes.c_int(height),
    )


def _call(name: str, *arguments: Any) -> None:
    library = load_library()
    if library is None:
        raise RuntimeError("the CUDA kernels are not compiled: there is no nvcc")
    function = getattr(library, "mesh_renderer_cuda_" + name)
    function.restype = ctypes.c_char_p
    error = function(*arguments)
    if error is not None:
        raise RuntimeError("CUDA: {}".format(error.decode()))


def _pointer(array: Optional[np.ndarray]) -> Optional[ctypes.c_void_p]:
    if array is not None and not array.flags.c_contiguous:
        raise ValueError("arrays must be densely packed")
    return pointer(array)


@functools.lru_cache(maxsize=None)
def load_library() -> Any:
    """Return the kernels with their C interface, compiled first if necessary; None without nvcc."""
    path = build_cuda_library("rasterize_triangles_cuda", _SOURCES)
    return None if path is None else ctypes.CDLL(path)
