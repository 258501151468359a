"""The compiled TensorFlow operations: loading them and registering their gradients."""

import ctypes
import functools
import warnings

from mesh_renderer import cuda_core
from mesh_renderer.build import gpu_operation_library, operation_library
from utils.errors import InputError
from utils.tf_compat import tf


@functools.lru_cache(maxsize=None)
def operations():
    """Load the compiled operations, once per process, and register their gradients."""
    compiled = tf.load_op_library(operation_library())
    if tf.test.is_built_with_cuda() and _has_cuda_driver():
        _load_gpu_kernels()

    def rasterize_gradient(op, d_barycentrics, *_):
        clip_vertices, triangles, _ = op.inputs
        barycentrics, triangle_ids = op.outputs[:2]
        return compiled.mesh_renderer_rasterize_triangles_grad(
            clip_vertices=clip_vertices, triangles=triangles, triangle_ids=triangle_ids,
            barycentric_coordinates=barycentrics,
            d_barycentric_coordinates=d_barycentrics), None, None

    def interpolate_gradient(op, d_image):
        attributes, triangles, triangle_ids, barycentrics = op.inputs
        d_attributes, d_barycentrics = compiled.mesh_renderer_interpolate_attributes_grad(
            attributes=attributes, triangles=triangles, triangle_ids=triangle_ids,
            barycentric_coordinates=barycentrics, d_image=d_image)
        return d_attributes, None, None, d_barycentrics

    def normals_gradient(op, d_normals):
        vertices, triangles, vertex_triangles = op.inputs
        return compiled.mesh_renderer_vertex_normals_grad(
            vertices=vertices, triangles=triangles, vertex_triangles=vertex_triangles,
            d_normals=d_normals), None, None

    def linear_model_gradient(op, d_values):
        return compiled.mesh_renderer_linear_model_grad(d_values=d_values, panels=op.inputs[1]), None, None

    def posed_surface_gradient(op, d_world, d_normals, d_colors):
        return list(compiled.mesh_renderer_posed_surface_grad(*op.inputs, d_world, d_normals, d_colors)) + [None] * 2

    _register_gradient("MeshRendererRasterizeTriangles", rasterize_gradient)
    _register_gradient("MeshRendererLinearModel", linear_model_gradient)
    _register_gradient("MeshRendererPosedSurface", posed_surface_gradient)
    _register_gradient("MeshRendererVertexNormals", normals_gradient)
    _register_gradient("MeshRendererInterpolateAttributes", interpolate_gradient)
    return compiled


def _has_cuda_driver():
    """Tell whether this machine has the driver that every use of a CUDA device goes through."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _load_gpu_kernels():
    """Let TensorFlow choose the kernels for GPUs, if they are built or can be."""
    try:
        # The same runtime without TensorFlow: it tells of drivers that are too old for these kernels.
        path = gpu_operation_library() if cuda_core.device_count() else None
        if path is not None:
            tf.load_op_library(path)
    except (InputError, tf.errors.OpError) as error:
        warnings.warn("Rasterisation stays on the CPU: {}".format(error), stacklevel=3)


def _register_gradient(name, function):
    """Register a gradient; one that a reload of this module left behind serves as well."""
    try:
        tf.RegisterGradient(name)(function)
    except KeyError:
        pass
