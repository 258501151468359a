// TensorFlow operations of attribute interpolation and its gradient, and their CPU kernels.
#include "rasterize/interpolate_attributes_op.h"

#include <cstdint>

#include "rasterize/rasterize_triangles.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
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
Interpolates vertex attributes by the barycentric coordinates of each pixel.

attributes: [B, N, C], any channels: colors, normals, positions.
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

// The core on TensorFlow's threads.
struct CpuInterpolation {
  static constexpr Memory kMemory = Memory::kHost;

  static Status Interpolate(OpKernelContext* context, const Geometry& geometry,
                            const Pixels& pixels, const Attributes& attributes, float* image) {
    const int64_t channels = attributes.channels;
    const int64_t bands = BandsPerImage(context, geometry.batch, pixels.height);
    ParallelFor(context, geometry.batch * bands, [&](int64_t unit) {
      const int64_t i = unit / bands, band = unit % bands;
      InterpolateAttributes(geometry.OfImage(i), pixels.OfImage(i),
                            attributes.values + channels * geometry.vertex_count * i, channels,
                            pixels.per_image * band / bands, pixels.per_image * (band + 1) / bands,
                            image + channels * pixels.per_image * i);
    });
    return Ok();
  }

  static Status InterpolateGrad(OpKernelContext* context, const Geometry& geometry,
                                const Pixels& pixels, const Attributes& attributes,
                                const float* d_image, float* d_attributes, float* d_barycentrics) {
    const int64_t channels = attributes.channels;
    ParallelFor(context, geometry.batch, [&](int64_t i) {
      const int64_t values = channels * geometry.vertex_count * i;
      InterpolateAttributesGrad(geometry.OfImage(i), pixels.OfImage(i), attributes.values + values,
                                channels, d_image + channels * pixels.per_image * i,
                                d_attributes + values, d_barycentrics + 3 * pixels.per_image * i);
    });
    return Ok();
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributes").Device(DEVICE_CPU),
                        InterpolateAttributesOp<CpuInterpolation>);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributesGrad").Device(DEVICE_CPU),
                        InterpolateAttributesGradOp<CpuInterpolation>);

}  // namespace
}  // namespace mesh_renderer
