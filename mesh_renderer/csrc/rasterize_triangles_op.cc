// TensorFlow operation over the core: rasterisation and its gradient. Checks and threads, no more.
#include <cstdint>
#include <limits>

#include "op_support.h"
#include "rasterize_triangles.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

Status CheckImageSize(int64_t width, int64_t height) {
  if (width <= 0 || height <= 0) {
    return errors::InvalidArgument("image_width and image_height must be positive, got ", width,
                                   " and ", height);
  }
  // The core counts pixels of an image, times three, in int64 and rows and columns in float.
  constexpr int64_t kLargestSide = 1 << 15;
  if (width > kLargestSide || height > kLargestSide) {
    return errors::InvalidArgument("image_width and image_height must be at most ", kLargestSide,
                                   ", got ", width, " and ", height);
  }
  return Ok();
}

Status RasterizeShape(InferenceContext* c) {
  ShapeHandle vertices, triangles, layers;
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &vertices));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(vertices, 2), 4, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &triangles));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(triangles, 1), 3, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 1, &layers));
  tensorflow::int32 width, height;
  TF_RETURN_IF_ERROR(c->GetAttr("image_width", &width));
  TF_RETURN_IF_ERROR(c->GetAttr("image_height", &height));
  TF_RETURN_IF_ERROR(CheckImageSize(width, height));
  const DimensionHandle batch = c->Dim(vertices, 0);
  c->set_output(0, c->MakeShape({batch, height, width, 3}));
  c->set_output(1, c->MakeShape({batch, height, width}));
  c->set_output(2, c->MakeShape({batch, height, width}));
  c->set_output(3, c->MakeShape({batch, height, width, 1}));
  c->set_output(4, c->MakeShape({batch, height, width, 1}));
  return Ok();
}

REGISTER_OP("MeshRendererRasterizeTriangles")
    .Attr("image_width: int")
    .Attr("image_height: int")
    .Input("clip_vertices: float32")
    .Input("triangles: int32")
    .Input("layers: uint8")
    .Output("barycentric_coordinates: float32")
    .Output("triangle_ids: int32")
    .Output("z_buffer: float32")
    .Output("mask: float32")
    .Output("front_mask: float32")
    .SetShapeFn(RasterizeShape)
    .Doc(R"doc(
Draws triangle meshes with hard visibility: the nearest triangle at each pixel centre.

Clip space is OpenGL's: x right, y up, visible where -w <= x, y, z <= w. Row 0 of every output is
the TOP row; the centre of pixel (row r, column c) is the normalised device coordinate
(2 (c + 1/2) / image_width - 1, 1 - 2 (r + 1/2) / image_height). A triangle covers a pixel whose
centre lies on or inside its three edges and where -1 <= z / w <= 1; both windings are drawn.
Triangles that cross the plane w = 0 are drawn where they are in front of it. Of equally near
triangles the last is shown. A triangle with a vertex that is not finite is skipped. Results
do not depend on the number of threads.

The gradient of barycentric_coordinates with respect to clip_vertices is that of the
perspective-correct coordinates with visibility held fixed; the other outputs have none.

image_width: Columns, 1 to 32768.
image_height: Rows, 1 to 32768.
clip_vertices: [B, N, 4], clip-space x, y, z, w. B and N may be 0.
triangles: [F, 3], indices of vertices, shared by all images. F may be 0. An index outside of
  [0, N) is an InvalidArgument error.
layers: [F], what each triangle is drawn into: 1 the picture, 2 the front mask, 3 both, 0
  nothing; or [0], all into the picture.
barycentric_coordinates: [B, H, W, 3], perspective-correct, at least 0, sum 1, in the order of the
  triangle's vertices; all 0 where the pixel is empty, which is how emptiness is told.
triangle_ids: [B, H, W], in [0, F); 0 where empty.
z_buffer: [B, H, W], z / w of the pixel, -1 (near) to 1 (far); 1 where empty.
mask: [B, H, W, 1], 1 where the picture is covered, else 0.
front_mask: [B, H, W, 1], 1 where any triangle of layer 2 covers the pixel, be it hidden by
  others or not: what drawing those triangles alone would cover.
)doc");

REGISTER_OP("MeshRendererRasterizeTrianglesGrad")
    .Input("clip_vertices: float32")
    .Input("triangles: int32")
    .Input("triangle_ids: int32")
    .Input("barycentric_coordinates: float32")
    .Input("d_barycentric_coordinates: float32")
    .Output("d_clip_vertices: float32")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return Ok();
    })
    .Doc(R"doc(
Gradient of MeshRendererRasterizeTriangles' barycentric coordinates.

clip_vertices: [B, N, 4].
triangles: [F, 3].
triangle_ids: [B, H, W], as MeshRendererRasterizeTriangles returned them.
barycentric_coordinates: [B, H, W, 3], likewise.
d_barycentric_coordinates: [B, H, W, 3], gradient of the loss.
d_clip_vertices: [B, N, 4]; the z column is 0, because visibility is held fixed.
)doc");

class RasterizeTrianglesOp : public OpKernel {
 public:
  explicit RasterizeTrianglesOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("image_width", &width_));
    OP_REQUIRES_OK(context, context->GetAttr("image_height", &height_));
    OP_REQUIRES_OK(context, CheckImageSize(width_, height_));
  }

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    OP_REQUIRES_OK(context, CheckGeometry(context->input(0), context->input(1), &geometry));
    const Tensor& layers = context->input(2);
    OP_REQUIRES(context,
                layers.dims() == 1 &&
                    (layers.dim_size(0) == 0 || layers.dim_size(0) == geometry.triangle_count),
                errors::InvalidArgument("layers must have shape [", geometry.triangle_count,
                                        "] or [0], got ", layers.shape().DebugString()));
    const int64_t pixels = int64_t{width_} * height_;
    OP_REQUIRES(context, geometry.batch <= std::numeric_limits<int64_t>::max() / (16 * pixels),
                errors::InvalidArgument("too many pixels: ", geometry.batch, " images of ", pixels));
    Tensor* outputs[5] = {};
    const int64_t batch = geometry.batch;
    const TensorShape shapes[5] = {{batch, height_, width_, 3}, {batch, height_, width_},
                                   {batch, height_, width_}, {batch, height_, width_, 1},
                                   {batch, height_, width_, 1}};
    for (int i = 0; i < 5; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, shapes[i], &outputs[i]));
    }
    Draw(context, geometry, layers.dim_size(0) ? layers.flat<uint8_t>().data() : nullptr, outputs);
  }

 private:
  void Draw(OpKernelContext* context, const Geometry& geometry, const uint8_t* layers,
            Tensor** outputs) const {
    // Bands repeat the set-up of all triangles, so images are only cut when threads would idle.
    const int64_t bands = BandsPerImage(context, geometry.batch, height_);
    const int64_t pixels = int64_t{width_} * height_;
    ParallelFor(context, geometry.batch * bands, [&](int64_t unit) {
      const int64_t image = unit / bands, band = unit % bands;
      const int64_t first = image * pixels;
      const Image target = {width_, height_, outputs[0]->flat<float>().data() + 3 * first,
                            outputs[1]->flat<int32_t>().data() + first,
                            outputs[2]->flat<float>().data() + first,
                            outputs[3]->flat<float>().data() + first,
                            outputs[4]->flat<float>().data() + first};
      RasterizeTriangles(geometry.OfImage(image, layers),
                                        static_cast<int>(height_ * band / bands),
                                        static_cast<int>(height_ * (band + 1) / bands), target);
    });
  }

  tensorflow::int32 width_;
  tensorflow::int32 height_;
};

class RasterizeTrianglesGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Geometry geometry;
    Pixels pixels;
    OP_REQUIRES_OK(context, CheckGeometry(context->input(0), context->input(1), &geometry));
    OP_REQUIRES_OK(context, CheckPixels(context->input(2), context->input(3), geometry.batch,
                                        geometry.triangle_count, &pixels));
    const Tensor& d_barycentrics = context->input(4);
    OP_REQUIRES(context, d_barycentrics.shape() == context->input(3).shape(),
                errors::InvalidArgument("d_barycentric_coordinates must have shape ",
                                        context->input(3).shape().DebugString(), ", got ",
                                        d_barycentrics.shape().DebugString()));
    Tensor* d_vertices = nullptr;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, context->input(0).shape(), &d_vertices));
    const int height = static_cast<int>(context->input(2).dim_size(1));
    const int width = static_cast<int>(context->input(2).dim_size(2));
    ParallelFor(context, geometry.batch, [&](int64_t image) {
      RasterizeTrianglesGrad(
          geometry.OfImage(image), width, height, pixels.OfImage(image),
          d_barycentrics.flat<float>().data() + 3 * pixels.per_image * image,
          d_vertices->flat<float>().data() + 4 * geometry.vertex_count * image);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTriangles").Device(DEVICE_CPU),
                        RasterizeTrianglesOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTrianglesGrad").Device(DEVICE_CPU),
                        RasterizeTrianglesGradOp);

}  // namespace
}  // namespace mesh_renderer
