// TensorFlow operations of posed and lit surfaces and the gradient: checks and threads around the
// core.
#include <cstdint>

#include "decode/connectivity_op.h"
#include "decode/posed_surface.h"
#include "rasterize/op_support.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

Status PosedSurfaceShape(InferenceContext* c) {
  ShapeHandle vertices, unused;
  DimensionHandle unused_dimension;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &vertices));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(vertices, 2), 3, &unused_dimension));
  TF_RETURN_IF_ERROR(c->Merge(c->input(1), vertices, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 3, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(3), 2, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(4), 3, &unused));
  for (int i = 0; i < 3; ++i) c->set_output(i, vertices);
  return Ok();
}

REGISTER_OP("MeshRendererPosedSurface")
    .Input("vertices: float32")
    .Input("albedo: float32")
    .Input("rotation: float32")
    .Input("translation: float32")
    .Input("light: float32")
    .Input("triangles: int32")
    .Input("vertex_triangles: int32")
    .Output("world: float32")
    .Output("normals: float32")
    .Output("colors: float32")
    .SetShapeFn(PosedSurfaceShape)
    .Doc(R"doc(
Poses and lights surfaces: world positions, world normals and colors in one pass.

Differentiable with respect to vertices, albedo, rotation, translation and light. Results do not
depend on the number of threads.

vertices: [B, N, 3], in model space. B and N may be 0.
albedo: [B, N, 3].
rotation: [B, 3, 3], for row vectors: world = vertices rotation + translation.
translation: [B, 3].
light: [B, 3, 9], of each channel the weights of 1, x, y, z, xy, yz, zx, zz, xx - yy, where
  (x, y, z) is the unit normal in the world.
triangles: [F, 3], indices of vertices, shared by all images; counter-clockwise seen from outside.
vertex_triangles: [N, 8], triangles around each vertex, in [0, F]; F pads.
world: [B, N, 3].
normals: [B, N, 3], the outputs of MeshRendererVertexNormals, rotated.
colors: [B, N, 3], albedo times light.
)doc");

REGISTER_OP("MeshRendererPosedSurfaceGrad")
    .Input("vertices: float32")
    .Input("albedo: float32")
    .Input("rotation: float32")
    .Input("translation: float32")
    .Input("light: float32")
    .Input("triangles: int32")
    .Input("vertex_triangles: int32")
    .Input("d_world: float32")
    .Input("d_normals: float32")
    .Input("d_colors: float32")
    .Output("d_vertices: float32")
    .Output("d_albedo: float32")
    .Output("d_rotation: float32")
    .Output("d_translation: float32")
    .Output("d_light: float32")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 0; i < 5; ++i) c->set_output(i, c->input(i));
      return Ok();
    })
    .Doc(R"doc(
Gradient of MeshRendererPosedSurface: its inputs, then the gradients of the loss by its outputs.
)doc");

// The checked inputs that both operations share.
struct Surfaces {
  Connectivity mesh;
  int64_t batch;
  const Tensor *vertices, *albedo, *rotation, *translation, *light;

  PoseAndLight PoseOf(int64_t image) const {
    return {rotation->flat<float>().data() + 9 * image,
            translation->flat<float>().data() + 3 * image,
            light->flat<float>().data() + kChannels * kLightTerms * image};
  }

  // Index of an image's first float in a tensor [B, N, 3].
  int64_t First(int64_t image) const { return 3 * mesh.vertex_count * image; }
};

Status CheckShape(const char* name, const Tensor& tensor, const TensorShape& wanted) {
  if (tensor.shape() == wanted) return Ok();
  return errors::InvalidArgument(name, " must have shape ", wanted.DebugString(), ", got ",
                                 tensor.shape().DebugString());
}

Status CheckSurfaces(OpKernelContext* context, Surfaces* surfaces) {
  const Tensor& vertices = context->input(0);
  TF_RETURN_IF_ERROR(
      CheckConnectivity(vertices, context->input(5), context->input(6), &surfaces->mesh));

  const int64_t batch = vertices.dim_size(0);
  surfaces->batch = batch;
  surfaces->vertices = &vertices;
  surfaces->albedo = &context->input(1);
  surfaces->rotation = &context->input(2);
  surfaces->translation = &context->input(3);
  surfaces->light = &context->input(4);

  TF_RETURN_IF_ERROR(CheckShape("albedo", *surfaces->albedo, vertices.shape()));
  TF_RETURN_IF_ERROR(CheckShape("rotation", *surfaces->rotation, TensorShape({batch, 3, 3})));
  TF_RETURN_IF_ERROR(CheckShape("translation", *surfaces->translation, TensorShape({batch, 3})));
  return CheckShape("light", *surfaces->light, TensorShape({batch, kChannels, kLightTerms}));
}

class PosedSurfaceOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Surfaces surfaces;
    OP_REQUIRES_OK(context, CheckSurfaces(context, &surfaces));
    Tensor* outputs[3] = {};
    for (int i = 0; i < 3; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, surfaces.vertices->shape(), &outputs[i]));
    }

    ParallelFor(context, surfaces.batch, [&](int64_t image) {
      const int64_t first = surfaces.First(image);
      PoseSurface(
          surfaces.mesh, surfaces.PoseOf(image), surfaces.vertices->flat<float>().data() + first,
          surfaces.albedo->flat<float>().data() + first,
          {outputs[0]->flat<float>().data() + first, outputs[1]->flat<float>().data() + first,
           outputs[2]->flat<float>().data() + first});
    });
  }
};

class PosedSurfaceGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Surfaces surfaces;
    OP_REQUIRES_OK(context, CheckSurfaces(context, &surfaces));
    const Tensor* gradients[3] = {};
    const char* names[3] = {"d_world", "d_normals", "d_colors"};
    for (int i = 0; i < 3; ++i) {
      gradients[i] = &context->input(7 + i);
      OP_REQUIRES_OK(context, CheckShape(names[i], *gradients[i], surfaces.vertices->shape()));
    }

    Tensor* outputs[5] = {};
    for (int i = 0; i < 5; ++i) {
      OP_REQUIRES_OK(context, context->allocate_output(i, context->input(i).shape(), &outputs[i]));
    }

    ParallelFor(context, surfaces.batch, [&](int64_t image) {
      const int64_t first = surfaces.First(image);
      PoseSurfaceGrad(
          surfaces.mesh, surfaces.PoseOf(image), surfaces.vertices->flat<float>().data() + first,
          surfaces.albedo->flat<float>().data() + first, gradients[0]->flat<float>().data() + first,
          gradients[1]->flat<float>().data() + first, gradients[2]->flat<float>().data() + first,
          {outputs[0]->flat<float>().data() + first, outputs[1]->flat<float>().data() + first,
           outputs[2]->flat<float>().data() + 9 * image,
           outputs[3]->flat<float>().data() + 3 * image,
           outputs[4]->flat<float>().data() + kChannels * kLightTerms * image});
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererPosedSurface").Device(DEVICE_CPU), PosedSurfaceOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererPosedSurfaceGrad").Device(DEVICE_CPU),
                        PosedSurfaceGradOp);

}  // namespace
}  // namespace mesh_renderer
