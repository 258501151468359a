// TensorFlow operation over the core: attribute interpolation and its gradient.
#include <cstdint>

#include "op_support.h"
#include "rasterize_triangles.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

Status InterpolateShape(InferenceContext* c) {
  ShapeHandle attributes, triangles, ids, barycentrics, image;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &attributes));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &triangles));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 3, &ids));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 4, &barycentrics));
  TF_RETURN_IF_ERROR(c->Concatenate(ids, c->Vector(c->Dim(attributes, 2)), &image));
  c->set_output(0, image);
  return Ok();
}

REGISTER_OP("MeshRendererInterpolateAttributes")
    .Input("attributes: float32")
    .Input("triangles: int32")
    .Input("triangle_ids: int32")
    .Input("barycentric_coordinates: float32")
    .Output("image: float32")
    .SetShapeFn(InterpolateShape)
    .Doc(R"doc(
Weighs the attributes of each pixel's triangle by the pixel's barycentric coordinates.

attributes: [B, N, C], any channels: colours, normals, positions.
triangles: [F, 3], indices of vertices in [0, N).
triangle_ids: [B, H, W], in [0, F).
barycentric_coordinates: [B, H, W, 3]; a pixel whose three sum to 0 is empty.
image: [B, H, W, C], 0 where empty.
)doc");

REGISTER_OP("MeshRendererInterpolateAttributesGrad")
    .Input("attributes: float32")
    .Input("triangles: int32")
    .Input("triangle_ids: int32")
    .Input("barycentric_coordinates: float32")
    .Input("d_image: float32")
    .Output("d_attributes: float32")
    .Output("d_barycentric_coordinates: float32")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->input(3));
      return Ok();
    })
    .Doc(R"doc(
Gradient of MeshRendererInterpolateAttributes.

attributes: [B, N, C].
triangles: [F, 3].
triangle_ids: [B, H, W].
barycentric_coordinates: [B, H, W, 3].
d_image: [B, H, W, C], gradient of the loss.
d_attributes: [B, N, C].
d_barycentric_coordinates: [B, H, W, 3], 0 where the pixel is empty.
)doc");

// The checked inputs of attribute interpolation and of its gradient.
Status CheckInterpolation(OpKernelContext* context, Geometry* geometry, Pixels* pixels) {
  const Tensor& attributes = context->input(0);
  if (attributes.dims() != 3) {
    return errors::InvalidArgument("attributes must have shape [B, N, C], got ",
                                   attributes.shape().DebugString());
  }
  geometry->triangles = &context->input(1);
  geometry->batch = attributes.dim_size(0);
  geometry->vertex_count = attributes.dim_size(1);
  TF_RETURN_IF_ERROR(CheckTriangles(*geometry->triangles, geometry->vertex_count));
  geometry->triangle_count = geometry->triangles->dim_size(0);
  return CheckPixels(context->input(2), context->input(3), geometry->batch,
                     geometry->triangle_count, pixels);
}

class InterpolateAttributesOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    OP_REQUIRES_OK(context, CheckInterpolation(context, &geometry, &pixels));
    const Tensor& attributes = context->input(0);
    const int64_t channels = attributes.dim_size(2);
    TensorShape shape = context->input(2).shape();
    shape.AddDim(channels);
    Tensor* image = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &image));
    const int64_t bands = BandsPerImage(context, geometry.batch, context->input(2).dim_size(1));
    ParallelFor(context, geometry.batch * bands, [&](int64_t unit) {
      const int64_t i = unit / bands, band = unit % bands;
      InterpolateAttributes(
          geometry.OfImage(i), pixels.OfImage(i),
          attributes.flat<float>().data() + channels * geometry.vertex_count * i, channels,
          pixels.per_image * band / bands, pixels.per_image * (band + 1) / bands,
          image->flat<float>().data() + channels * pixels.per_image * i);
    });
  }
};

class InterpolateAttributesGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    OP_REQUIRES_OK(context, CheckInterpolation(context, &geometry, &pixels));
    const Tensor& attributes = context->input(0);
    const Tensor& d_image = context->input(4);
    const int64_t channels = attributes.dim_size(2);
    TensorShape shape = context->input(2).shape();
    shape.AddDim(channels);
    OP_REQUIRES(context, d_image.shape() == shape,
                errors::InvalidArgument("d_image must have shape ", shape.DebugString(), ", got ",
                                        d_image.shape().DebugString()));
    Tensor *d_attributes = nullptr, *d_barycentrics = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, attributes.shape(), &d_attributes));
    OP_REQUIRES_OK(context,
                   context->allocate_output(1, context->input(3).shape(), &d_barycentrics));
    ParallelFor(context, geometry.batch, [&](int64_t i) {
      const int64_t values = channels * geometry.vertex_count * i;
      InterpolateAttributesGrad(
          geometry.OfImage(i), pixels.OfImage(i), attributes.flat<float>().data() + values,
          channels, d_image.flat<float>().data() + channels * pixels.per_image * i,
          d_attributes->flat<float>().data() + values,
          d_barycentrics->flat<float>().data() + 3 * pixels.per_image * i);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributes").Device(DEVICE_CPU),
                        InterpolateAttributesOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributesGrad").Device(DEVICE_CPU),
                        InterpolateAttributesGradOp);

}  // namespace
}  // namespace mesh_renderer
