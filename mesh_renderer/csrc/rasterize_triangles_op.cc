// TensorFlow operations over the core in rasterize_triangles.h: checks, threads, nothing else.
// Compiles against TensorFlow 1.12 and 2.x.
#include <cstdint>
#include <limits>

#include "rasterize_triangles.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace {

using mesh_renderer::Image;
using mesh_renderer::Mesh;
using mesh_renderer::Visibility;
using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;
namespace errors = tensorflow::errors;
using Status = tensorflow::Status;

// tensorflow::Status::OK() left TensorFlow at 2.14; a default-constructed status is fine in all.
Status Ok() { return Status(); }

// One thread's share below this many nanoseconds is not worth handing over; ParallelFor wants an
// estimate of the work in cycles.
constexpr int64_t kCyclesPerTriangle = 30;
constexpr int64_t kCyclesPerPixel = 30;

// Runs work(begin, end) over [0, total) on the operation's own threads.
template <typename Work>
void ParallelFor(OpKernelContext* context, int64_t total, int64_t cycles_each, const Work& work) {
  auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
  if (total <= 1 || threads->NumThreads() <= 1) {
    work(0, total);
  } else {
    threads->ParallelFor(total, cycles_each, work);
  }
}

int ThreadCount(OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->workers->NumThreads();
}

// The checked inputs that all operations share.
struct Geometry {
  const Tensor* clip_vertices = nullptr;
  const Tensor* triangles = nullptr;
  int64_t batch = 0;
  int64_t vertex_count = 0;
  int64_t triangle_count = 0;

  Mesh OfImage(int64_t image, const uint8_t* layers = nullptr) const {
    const float* vertices =
        clip_vertices ? clip_vertices->flat<float>().data() + 4 * vertex_count * image : nullptr;
    return {vertices, triangles->flat<int32_t>().data(), layers, vertex_count, triangle_count};
  }
};

Status CheckTriangles(const Tensor& triangles, int64_t vertex_count) {
  if (triangles.dims() != 2 || triangles.dim_size(1) != 3) {
    return errors::InvalidArgument("triangles must have shape [F, 3], got ",
                                   triangles.shape().DebugString());
  }
  if (triangles.dim_size(0) > std::numeric_limits<int32_t>::max()) {
    return errors::InvalidArgument("more triangles than int32 can count: ", triangles.dim_size(0));
  }
  const auto flat = triangles.flat<int32_t>();
  // An unsigned comparison catches negative indices too; the loop without exit is a vector loop.
  uint32_t largest = 0;
  for (int64_t i = 0; i < flat.size(); ++i) {
    const uint32_t index = static_cast<uint32_t>(flat.data()[i]);
    largest = index > largest ? index : largest;
  }
  if (flat.size() > 0 && largest >= vertex_count) {
    return errors::InvalidArgument("triangles must index vertices 0 to ", vertex_count - 1,
                                   ", got ", static_cast<int32_t>(largest));
  }
  return Ok();
}

Status CheckGeometry(const Tensor& clip_vertices, const Tensor& triangles, Geometry* geometry) {
  if (clip_vertices.dims() != 3 || clip_vertices.dim_size(2) != 4) {
    return errors::InvalidArgument("clip_vertices must have shape [B, N, 4], got ",
                                   clip_vertices.shape().DebugString());
  }
  geometry->clip_vertices = &clip_vertices;
  geometry->triangles = &triangles;
  geometry->batch = clip_vertices.dim_size(0);
  geometry->vertex_count = clip_vertices.dim_size(1);
  geometry->triangle_count = triangles.dims() > 0 ? triangles.dim_size(0) : 0;
  return CheckTriangles(triangles, geometry->vertex_count);
}

// The pixels that RasterizeTriangles left, checked against the batch and the triangles.
struct Pixels {
  const Tensor* triangle_ids = nullptr;
  const Tensor* barycentrics = nullptr;
  int64_t per_image = 0;

  Visibility OfImage(int64_t image) const {
    return {per_image, barycentrics->flat<float>().data() + 3 * per_image * image,
            triangle_ids->flat<int32_t>().data() + per_image * image};
  }
};

Status CheckPixels(const Tensor& triangle_ids, const Tensor& barycentrics, int64_t batch,
                   int64_t triangle_count, Pixels* pixels) {
  if (triangle_ids.dims() != 3 || triangle_ids.dim_size(0) != batch) {
    return errors::InvalidArgument("triangle_ids must have shape [", batch, ", H, W], got ",
                                   triangle_ids.shape().DebugString());
  }
  TensorShape expected = triangle_ids.shape();
  expected.AddDim(3);
  if (barycentrics.shape() != expected) {
    return errors::InvalidArgument("barycentric_coordinates must have shape ",
                                   expected.DebugString(), ", got ",
                                   barycentrics.shape().DebugString());
  }
  pixels->triangle_ids = &triangle_ids;
  pixels->barycentrics = &barycentrics;
  pixels->per_image = triangle_ids.dim_size(1) * triangle_ids.dim_size(2);
  // Without triangles every pixel is empty, and its id, 0, is never looked up.
  const uint32_t limit = static_cast<uint32_t>(triangle_count > 0 ? triangle_count : 1);
  const auto ids = triangle_ids.flat<int32_t>();
  uint32_t largest = 0;
  for (int64_t i = 0; i < ids.size(); ++i) {
    const uint32_t id = static_cast<uint32_t>(ids.data()[i]);
    largest = id > largest ? id : largest;
  }
  if (largest >= limit) {
    return errors::InvalidArgument("triangle_ids must lie in [0, ", limit, "), got ",
                                   static_cast<int32_t>(largest));
  }
  if (triangle_count == 0) {
    const auto b = barycentrics.flat<float>();
    for (int64_t i = 0; i < b.size(); ++i) {
      if (b.data()[i] != 0) return errors::InvalidArgument("pixels are covered, but there are no triangles");
    }
  }
  return Ok();
}

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

Status SameShape(InferenceContext* c, int input, int output) {
  c->set_output(output, c->input(input));
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

}  // namespace

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
    .SetShapeFn([](InferenceContext* c) { return SameShape(c, 0, 0); })
    .Doc(R"doc(
Gradient of MeshRendererRasterizeTriangles' barycentric coordinates.

clip_vertices: [B, N, 4].
triangles: [F, 3].
triangle_ids: [B, H, W], as MeshRendererRasterizeTriangles returned them.
barycentric_coordinates: [B, H, W, 3], likewise.
d_barycentric_coordinates: [B, H, W, 3], gradient of the loss.
d_clip_vertices: [B, N, 4]; the z column is 0, because visibility is held fixed.
)doc");

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
      TF_RETURN_IF_ERROR(SameShape(c, 0, 0));
      return SameShape(c, 3, 1);
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

namespace {

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
    if (geometry.batch == 0) return;
    // Bands repeat the triangles' set-up, so images are only divided when threads would idle.
    const int64_t threads = ThreadCount(context);
    int64_t bands = (threads + geometry.batch - 1) / geometry.batch;
    bands = bands < height_ ? bands : height_;
    const int64_t pixels = int64_t{width_} * height_;
    const int64_t cycles =
        kCyclesPerTriangle * geometry.triangle_count + kCyclesPerPixel * pixels / bands;
    ParallelFor(context, geometry.batch * bands, cycles, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t image = i / bands, band = i % bands;
        const int64_t first = image * pixels;
        const Image target = {width_, height_, outputs[0]->flat<float>().data() + 3 * first,
                              outputs[1]->flat<int32_t>().data() + first,
                              outputs[2]->flat<float>().data() + first,
                              outputs[3]->flat<float>().data() + first,
                              outputs[4]->flat<float>().data() + first};
        mesh_renderer::RasterizeTriangles(geometry.OfImage(image, layers),
                                          static_cast<int>(height_ * band / bands),
                                          static_cast<int>(height_ * (band + 1) / bands), target);
      }
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
    ParallelFor(context, geometry.batch, kCyclesPerPixel * pixels.per_image,
                [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        mesh_renderer::RasterizeTrianglesGrad(
            geometry.OfImage(image), width, height, pixels.OfImage(image),
            d_barycentrics.flat<float>().data() + 3 * pixels.per_image * image,
            d_vertices->flat<float>().data() + 4 * geometry.vertex_count * image);
      }
    });
  }
};

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
    const int64_t rows = context->input(2).dim_size(1);
    const int64_t width = context->input(2).dim_size(2);
    ParallelFor(context, geometry.batch * rows, width * (kCyclesPerPixel + channels),
                [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t i = row / rows, first = row % rows * width;
        mesh_renderer::InterpolateAttributes(
            geometry.OfImage(i), pixels.OfImage(i),
            attributes.flat<float>().data() + channels * geometry.vertex_count * i, channels,
            first, first + width, image->flat<float>().data() + channels * pixels.per_image * i);
      }
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
    ParallelFor(context, geometry.batch, pixels.per_image * (kCyclesPerPixel + 6 * channels),
                [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t values = channels * geometry.vertex_count * i;
        mesh_renderer::InterpolateAttributesGrad(
            geometry.OfImage(i), pixels.OfImage(i), attributes.flat<float>().data() + values,
            channels, d_image.flat<float>().data() + channels * pixels.per_image * i,
            d_attributes->flat<float>().data() + values,
            d_barycentrics->flat<float>().data() + 3 * pixels.per_image * i);
      }
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTriangles").Device(DEVICE_CPU),
                        RasterizeTrianglesOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererRasterizeTrianglesGrad").Device(DEVICE_CPU),
                        RasterizeTrianglesGradOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributes").Device(DEVICE_CPU),
                        InterpolateAttributesOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererInterpolateAttributesGrad").Device(DEVICE_CPU),
                        InterpolateAttributesGradOp);

}  // namespace
