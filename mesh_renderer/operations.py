"""The compiled TensorFlow operations: loads them and registers their gradients."""

import ctypes
import functools
import warnings
from typing import Any, Callable, List, Optional, Tuple

from mesh_renderer.build import (
    build_device_count_library,
    build_gpu_operation_library,
    build_operation_library,
    has_cuda_driver,
)
from utils.errors import InputError
from utils.tf_compat import Tensor, tf


@functools.lru_cache(maxsize=None)
def load_operations() -> Any:
    """Load the compiled operations, once per process, and register their gradients.

    Returns:
        The module of the operations; the contract of each is in ``csrc/*/*_op.cc``.

    Raises:
        InputError: the operations are not compiled, and cannot be.
    """
    compiled = tf.load_op_library(build_operation_library())
    if tf.test.is_built_with_cuda() and has_cuda_driver():
        _load_gpu_kernels()
    _register_gradients(compiled)
    return compiled


def cuda_device_count() -> int:
    """Return the number of usable CUDA devices.

    0 without a driver, with a driver too old for the kernels, and without a CUDA compiler.

    Raises:
        InputError: the CUDA compiler failed.
    """
    path = build_device_count_library()
    return 0 if path is None else ctypes.CDLL(path).mesh_renderer_cuda_device_count()


def _load_gpu_kernels() -> None:
    """Add the kernels for GPUs, if there is a GPU and they can be compiled."""
    try:
        path = build_gpu_operation_library() if cuda_device_count() else None
        if path is not None:
            tf.load_op_library(path)
    except (InputError, tf.errors.OpError) as error:
        warnings.warn("Rasterization stays on the CPU: {}".format(error), stacklevel=3)


def _register_gradients(compiled: Any) -> None:
    """Register the gradients of all operations; None for inputs without a gradient."""

    def rasterize_gradient(
        op: Any, d_barycentrics: Tensor, *_: Tensor
    ) -> Tuple[Tensor, None, None]:
        clip_vertices, triangles, _layers = op.inputs
        barycentrics, triangle_ids = op.outputs[:2]
        d_clip_vertices = compiled.mesh_renderer_rasterize_triangles_grad(
            clip_vertices=clip_vertices,
            triangles=triangles,
            triangle_ids=triangle_ids,
            barycentric_coordinates=barycentrics,
            d_barycentric_coordinates=d_barycentrics,
        )
        return d_clip_vertices, None, None

    def interpolate_gradient(op: Any, d_image: Tensor) -> Tuple[Tensor, None, None, Tensor]:
        attributes, triangles, triangle_ids, barycentrics = op.inputs
        d_attributes, d_barycentrics = compiled.mesh_renderer_interpolate_attributes_grad(
            attributes=attributes,
            triangles=triangles,
            triangle_ids=triangle_ids,
            barycentric_coordinates=barycentrics,
            d_image=d_image,
        )
        return d_attributes, None, None, d_barycentrics

    def normals_gradient(op: Any, d_normals: Tensor) -> Tuple[Tensor, None, None]:
        vertices, triangles, vertex_triangles = op.inputs
        d_vertices = compiled.mesh_renderer_vertex_normals_grad(
            vertices=vertices,
            triangles=triangles,
            vertex_triangles=vertex_triangles,
            d_normals=d_normals,
        )
        return d_vertices, None, None

    def linear_model_gradient(op: Any, d_values: Tensor) -> Tuple[Tensor, None, None]:
        d_coefficients = compiled.mesh_renderer_linear_model_grad(
            d_values=d_values, panels=op.inputs[1]
        )
        return d_coefficients, None, None

    def posed_surface_gradient(
        op: Any, d_world: Tensor, d_normals: Tensor, d_colors: Tensor
    ) -> List[Optional[Tensor]]:
        gradients = compiled.mesh_renderer_posed_surface_grad(
            *op.inputs, d_world, d_normals, d_colors
        )
        return list(gradients) + [None] * 2

    _register_gradient("MeshRendererRasterizeTriangles", rasterize_gradient)
    _register_gradient("MeshRendererLinearModel", linear_model_gradient)
    _register_gradient("MeshRendererPosedSurface", posed_surface_gradient)
    _register_gradient("MeshRendererVertexNormals", normals_gradient)
    _register_gradient("MeshRendererInterpolateAttributes", interpolate_gradient)


def _register_gradient(name: str, function: Callable[..., Any]) -> None:
    """Register a gradient; after a reload of this module, the one of the first load remains."""
    try:
        tf.RegisterGradient(name)(function)
    except KeyError:
        pass
