// TensorFlow kernels of the rasterizer's operations for CUDA devices. The operations themselves are
// registered by the CPU's library.
#define EIGEN_USE_GPU  // for the stream of OpKernelContext

#include <cstdint>

#include "rasterize/interpolate_attributes_op.h"
#include "rasterize/rasterize_triangles_cuda.h"
#include "rasterize/rasterize_triangles_op.h"
#include "unsupported/Eigen/CXX11/Tensor"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_GPU;

cudaStream_t StreamOf(OpKernelContext* context) {
  return context->eigen_device<Eigen::GpuDevice>().stream();
}

Status ToStatus(cudaError_t error) {
  return error == cudaSuccess ? Ok() : errors::Internal("CUDA: ", cudaGetErrorString(error));
}

// Allocates device memory for the kernels launched next; `tensor` owns it.
Status AllocateBytes(OpKernelContext* context, int64_t bytes, Tensor* tensor, char** memory) {
  TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_UINT8, TensorShape({bytes}), tensor));
  *memory = reinterpret_cast<char*>(tensor->flat<uint8_t>().data());
  return Ok();
}

Status AllocateSums(OpKernelContext* context, int64_t count, int64_t pixels, Tensor* tensor,
                    FixedPointSums* sums) {
  char* memory = nullptr;
  TF_RETURN_IF_ERROR(
      AllocateBytes(context, PlaceSums(nullptr, count, pixels, sums), tensor, &memory));
  PlaceSums(memory, count, pixels, sums);
  return Ok();
}

DrawnBatch DrawnBatchOf(const Geometry& geometry, const Pixels& pixels) {
  return {geometry.triangles->flat<int32_t>().data(),
          geometry.batch,
          geometry.vertex_count,
          geometry.triangle_count,
          static_cast<int>(pixels.width),
          static_cast<int>(pixels.height),
          pixels.barycentrics->flat<float>().data(),
          pixels.triangle_ids->flat<int32_t>().data()};
}

struct GpuDevice {
  static constexpr Memory kMemory = Memory::kDevice;

  static Status Rasterize(OpKernelContext* context, const Geometry& geometry, const uint8_t* layers,
                          int width, int height, const Images& out) {
    Drawing drawing = {};
    drawing.clip_vertices = geometry.clip_vertices->flat<float>().data();
    drawing.triangles = geometry.triangles->flat<int32_t>().data();
    drawing.layers = layers;
    drawing.batch = geometry.batch;
    drawing.vertex_count = geometry.vertex_count;
    drawing.triangle_count = geometry.triangle_count;
    drawing.width = width;
    drawing.height = height;
    drawing.barycentrics = out.barycentrics;
    drawing.triangle_ids = out.triangle_ids;
    drawing.z_buffer = out.z_buffer;
    drawing.mask = out.mask;
    drawing.front_mask = out.front_mask;

    Tensor workspace;
    char* memory = nullptr;
    TF_RETURN_IF_ERROR(
        AllocateBytes(context, PlaceWorkspace(nullptr, &drawing), &workspace, &memory));
    PlaceWorkspace(memory, &drawing);
    return ToStatus(RasterizeOnDevice(drawing, StreamOf(context)));
  }

  static Status RasterizeGrad(OpKernelContext* context, const Geometry& geometry,
                              const Pixels& pixels, const float* d_barycentrics,
                              float* d_vertices) {
    Tensor workspace;
    FixedPointSums sums;
    TF_RETURN_IF_ERROR(AllocateSums(context, 4 * geometry.batch * geometry.vertex_count,
                                    pixels.per_image, &workspace, &sums));
    return ToStatus(RasterizeGradOnDevice(DrawnBatchOf(geometry, pixels),
                                          geometry.clip_vertices->flat<float>().data(),
                                          d_barycentrics, sums, d_vertices, StreamOf(context)));
  }

  static Status Interpolate(OpKernelContext* context, const Geometry& geometry,
                            const Pixels& pixels, const Attributes& attributes, float* image) {
    return ToStatus(InterpolateOnDevice(DrawnBatchOf(geometry, pixels), attributes.values,
                                        attributes.channels, image, StreamOf(context)));
  }

  static Status InterpolateGrad(OpKernelContext* context, const Geometry& geometry,
                                const Pixels& pixels, const Attributes& attributes,
                                const float* d_image, float* d_attributes, float* d_barycentrics) {
    Tensor workspace;
    FixedPointSums sums;
    TF_RETURN_IF_ERROR(AllocateSums(context,
                                    attributes.channels * geometry.batch * geometry.vertex_count,
                                    pixels.per_image, &workspace, &sums));
    return ToStatus(InterpolateGradOnDevice(
        DrawnBatchOf(geometry, pixels),
        {attributes.values, attributes.channels, d_image, d_attributes, d_barycentrics}, sums,
        StreamOf(context)));
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTriangles").Device(DEVICE_GPU),
                        RasterizeTrianglesOp<GpuDevice>);
REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTrianglesGrad").Device(DEVICE_GPU),
                        RasterizeTrianglesGradOp<GpuDevice>);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributes").Device(DEVICE_GPU),
                        InterpolateAttributesOp<GpuDevice>);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributesGrad").Device(DEVICE_GPU),
                        InterpolateAttributesGradOp<GpuDevice>);

}  // namespace
}  // namespace mesh_renderer
