// TensorFlow kernels of attribute interpolation and its gradient: checks of the inputs, for any
// device.
//
// A Device is a struct with Memory kMemory and the functions Interpolate and InterpolateGrad.
#ifndef MESH_RENDERER_RASTERIZE_INTERPOLATE_ATTRIBUTES_OP_H_
#define MESH_RENDERER_RASTERIZE_INTERPOLATE_ATTRIBUTES_OP_H_

#include <cstdint>

#include "rasterize/op_support.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mesh_renderer {

using tensorflow::OpKernel;

struct Attributes {
  const float* values;  // [batch, vertex_count, channels]
  int64_t channels;
};

// Checks the inputs that attribute interpolation and its gradient share.
inline Status CheckInterpolation(OpKernelContext* context, Memory memory, Geometry* geometry,
                                 Pixels* pixels, Attributes* values) {
  const Tensor& attributes = context->input(0);
  if (attributes.dims() != 3) {
    return errors::InvalidArgument("attributes must have shape [B, N, C], got ",
                                   attributes.shape().DebugString());
  }
  geometry->triangles = &context->input(1);
  geometry->batch = attributes.dim_size(0);
  geometry->vertex_count = attributes.dim_size(1);
  TF_RETURN_IF_ERROR(CheckTriangles(*geometry->triangles, geometry->vertex_count, memory));
  geometry->triangle_count = geometry->triangles->dim_size(0);
  *values = {attributes.flat<float>().data(), attributes.dim_size(2)};
  return CheckPixels(context->input(2), context->input(3), geometry->batch,
                     geometry->triangle_count, memory, pixels);
}

template <typename Device>
class InterpolateAttributesOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    Attributes attributes;
    OP_REQUIRES_OK(context,
                   CheckInterpolation(context, Device::kMemory, &geometry, &pixels, &attributes));

    TensorShape shape = context->input(2).shape();
    shape.AddDim(attributes.channels);
    Tensor* image = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &image));
    OP_REQUIRES_OK(context, Device::Interpolate(context, geometry, pixels, attributes,
                                                image->flat<float>().data()));
  }
};

template <typename Device>
class InterpolateAttributesGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    Attributes attributes;
    OP_REQUIRES_OK(context,
                   CheckInterpolation(context, Device::kMemory, &geometry, &pixels, &attributes));

    const Tensor& d_image = context->input(4);
    TensorShape shape = context->input(2).shape();
    shape.AddDim(attributes.channels);
    OP_REQUIRES(context, d_image.shape() == shape,
                errors::InvalidArgument("d_image must have shape ", shape.DebugString(), ", got ",
                                        d_image.shape().DebugString()));

    Tensor* d_attributes = nullptr;
    Tensor* d_barycentrics = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &d_attributes));
    OP_REQUIRES_OK(context,
                   context->allocate_output(1, context->input(3).shape(), &d_barycentrics));
    OP_REQUIRES_OK(context, Device::InterpolateGrad(context, geometry, pixels, attributes,
                                                    d_image.flat<float>().data(),
                                                    d_attributes->flat<float>().data(),
                                                    d_barycentrics->flat<float>().data()));
  }
};

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_INTERPOLATE_ATTRIBUTES_OP_H_
