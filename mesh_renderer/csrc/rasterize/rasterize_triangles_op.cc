// TensorFlow operations of the rasterizer and its gradient, and their CPU kernels.
#include "rasterize/rasterize_triangles_op.h"

#include <cstdint>

#include "rasterize/rasterize_triangles.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

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
Draws triangle meshes with hard visibility: the nearest triangle at each pixel center.

Clip space is OpenGL's: x right, y up, visible where -w <= x, y, z <= w. Row 0 of every output is
the TOP row; the center of pixel (row r, column c) is the normalized device coordinate
(2 (c + 1/2) / image_width - 1, 1 - 2 (r + 1/2) / image_height). A triangle covers a pixel whose
center lies on or inside its three edges and where -1 <= z / w <= 1; both windings are drawn.
Triangles that cross the plane w = 0 are drawn where they are in front of it. Of equally near
triangles the last is shown. A triangle with a vertex that is not finite is skipped. Results
do not depend on the number of threads.

The gradient of barycentric_coordinates with respect to clip_vertices is the gradient of the
perspective-correct coordinates with visibility held fixed; the other outputs have no gradient.

image_width: Columns, 1 to 32768.
image_height: Rows, 1 to 32768.
clip_vertices: [B, N, 4], clip-space x, y, z, w. B and N may be 0.
triangles: [F, 3], indices of vertices, shared by all images. F may be 0. An index outside of
  [0, N) is an InvalidArgument error on the CPU; on a GPU its triangle is skipped.
layers: [F], target of each triangle: 1 the picture, 2 the front mask, 3 both, 0 neither; or
  [0]: the picture for all triangles.
barycentric_coordinates: [B, H, W, 3], perspective-correct, at least 0, sum 1, in the order of the
  triangle's vertices; all 0 if and only if the pixel is empty.
triangle_ids: [B, H, W], in [0, F); 0 where empty.
z_buffer: [B, H, W], z / w of the pixel, -1 (near) to 1 (far); 1 where empty.
mask: [B, H, W, 1], 1 where the picture is covered, else 0.
front_mask: [B, H, W, 1], 1 where any triangle of layer 2 covers the pixel, even if others hide
  it: the mask of those triangles drawn alone.
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
barycentric_coordinates: [B, H, W, 3], as MeshRendererRasterizeTriangles returned them.
d_barycentric_coordinates: [B, H, W, 3], gradient of the loss.
d_clip_vertices: [B, N, 4]; the z column is 0, because visibility is held fixed.
)doc");

// The core on TensorFlow's threads.
struct CpuRasterizer {
  static constexpr Memory kMemory = Memory::kHost;

  static Status Rasterize(OpKernelContext* context, const Geometry& geometry, const uint8_t* layers,
                          int width, int height, const Images& out) {
    // Each band repeats the set-up of all triangles, so images are cut only for idle threads.
    const int64_t bands = BandsPerImage(context, geometry.batch, height);
    const int64_t pixels = int64_t{width} * height;
    ParallelFor(context, geometry.batch * bands, [&](int64_t unit) {
      const int64_t image = unit / bands, band = unit % bands;
      const int64_t first = image * pixels;
      const Image target = {width,
                            height,
                            out.barycentrics + 3 * first,
                            out.triangle_ids + first,
                            out.z_buffer + first,
                            out.mask + first,
                            out.front_mask + first};
      RasterizeTriangles(geometry.OfImage(image, layers), static_cast<int>(height * band / bands),
                         static_cast<int>(height * (band + 1) / bands), target);
    });
    return Ok();
  }

  static Status RasterizeGrad(OpKernelContext* context, const Geometry& geometry,
                              const Pixels& pixels, const float* d_barycentrics,
                              float* d_vertices) {
    const int width = static_cast<int>(pixels.width), height = static_cast<int>(pixels.height);
    ParallelFor(context, geometry.batch, [&](int64_t image) {
      RasterizeTrianglesGrad(geometry.OfImage(image), width, height, pixels.OfImage(image),
                             d_barycentrics + 3 * pixels.per_image * image,
                             d_vertices + 4 * geometry.vertex_count * image);
    });
    return Ok();
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTriangles").Device(DEVICE_CPU),
                        RasterizeTrianglesOp<CpuRasterizer>);
REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTrianglesGrad").Device(DEVICE_CPU),
                        RasterizeTrianglesGradOp<CpuRasterizer>);

}  // namespace
}  // namespace mesh_renderer
