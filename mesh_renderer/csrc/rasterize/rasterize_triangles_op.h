// TensorFlow kernels of the rasterizer and its gradient: checks of the inputs, for any device.
//
// A Device is a struct with Memory kMemory and the functions Rasterize and RasterizeGrad.
#ifndef MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_OP_H_
#define MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_OP_H_

#include <cstdint>
#include <limits>

#include "rasterize/op_support.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mesh_renderer {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;

inline Status CheckImageSize(int64_t width, int64_t height) {
  if (width <= 0 || height <= 0) {
    return errors::InvalidArgument("image_width and image_height must be positive, got ", width,
                                   " and ", height);
  }
  // The core counts pixels in int64, and rows and columns in float.
  constexpr int64_t kLargestSide = 1 << 15;
  if (width > kLargestSide || height > kLargestSide) {
    return errors::InvalidArgument("image_width and image_height must be at most ", kLargestSide,
                                   ", got ", width, " and ", height);
  }
  return Ok();
}

// The outputs of a batch.
struct Images {
  float* barycentrics;
  int32_t* triangle_ids;
  float *z_buffer, *mask, *front_mask;
};

template <typename Device>
class RasterizeTrianglesOp : public OpKernel {
 public:
  explicit RasterizeTrianglesOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("image_width", &width_));
    OP_REQUIRES_OK(context, context->GetAttr("image_height", &height_));
    OP_REQUIRES_OK(context, CheckImageSize(width_, height_));
  }

  void Compute(OpKernelContext* context) override {
    // 1. Check the inputs.
    Geometry geometry;
    OP_REQUIRES_OK(context,
                   CheckGeometry(context->input(0), context->input(1), Device::kMemory, &geometry));
    const Tensor& layers = context->input(2);
    OP_REQUIRES(context,
                layers.dims() == 1 &&
                    (layers.dim_size(0) == 0 || layers.dim_size(0) == geometry.triangle_count),
                errors::InvalidArgument("layers must have shape [", geometry.triangle_count,
                                        "] or [0], got ", layers.shape().DebugString()));
    const int64_t pixels = int64_t{width_} * height_;
    OP_REQUIRES(
        context, geometry.batch <= std::numeric_limits<int64_t>::max() / (16 * pixels),
        errors::InvalidArgument("too many pixels: ", geometry.batch, " images of ", pixels));

    // 2. Allocate the outputs.
    Tensor* outputs[5] = {};
    const int64_t batch = geometry.batch;
    const TensorShape shapes[5] = {{batch, height_, width_, 3},
                                   {batch, height_, width_},
                                   {batch, height_, width_},
                                   {batch, height_, width_, 1},
                                   {batch, height_, width_, 1}};
    for (int i = 0; i < 5; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, shapes[i], &outputs[i]));
    }

    // 3. Draw.
    OP_REQUIRES_OK(
        context, Device::Rasterize(
                     context, geometry,
                     layers.dim_size(0) ? layers.flat<uint8_t>().data() : nullptr, width_, height_,
                     {outputs[0]->flat<float>().data(), outputs[1]->flat<int32_t>().data(),
                      outputs[2]->flat<float>().data(), outputs[3]->flat<float>().data(),
                      outputs[4]->flat<float>().data()}));
  }

 private:
  tensorflow::int32 width_;
  tensorflow::int32 height_;
};

template <typename Device>
class RasterizeTrianglesGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    OP_REQUIRES_OK(context,
                   CheckGeometry(context->input(0), context->input(1), Device::kMemory, &geometry));
    OP_REQUIRES_OK(context, CheckPixels(context->input(2), context->input(3), geometry.batch,
                                        geometry.triangle_count, Device::kMemory, &pixels));
    const Tensor& d_barycentrics = context->input(4);
    OP_REQUIRES(context, d_barycentrics.shape() == context->input(3).shape(),
                errors::InvalidArgument("d_barycentric_coordinates must have shape ",
                                        context->input(3).shape().DebugString(), ", got ",
                                        d_barycentrics.shape().DebugString()));

    Tensor* d_vertices = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &d_vertices));
    OP_REQUIRES_OK(context, Device::RasterizeGrad(context, geometry, pixels,
                                                  d_barycentrics.flat<float>().data(),
                                                  d_vertices->flat<float>().data()));
  }
};

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_OP_H_
