// TensorFlow operations of vertex normals and their gradient: checks and threads around the core.
#include <cstdint>

#include "decode/connectivity_op.h"
#include "decode/vertex_normals.h"
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

Status NormalsShape(InferenceContext* c) {
  ShapeHandle vertices, unused_shape;
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &vertices));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(vertices, 2), 3, &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 2, &unused_shape));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 2, &unused_shape));
  c->set_output(0, vertices);
  return Ok();
}

REGISTER_OP("MeshRendererVertexNormals")
    .Input("vertices: float32")
    .Input("triangles: int32")
    .Input("vertex_triangles: int32")
    .Output("normals: float32")
    .SetShapeFn(NormalsShape)
    .Doc(R"doc(
Unit vertex normals: the normalized sum of the unit normals of the triangles around each vertex.

The normal of a triangle has the direction of cross(v1 - v2, v2 - v3): outward for triangles that
run counter-clockwise seen from outside. A triangle without area adds nothing. Results do not depend
on the number of threads. Differentiable with respect to vertices.

vertices: [B, N, 3]. B and N may be 0.
triangles: [F, 3], indices of vertices, shared by all images.
vertex_triangles: [N, 8], triangles around each vertex, in [0, F]; F pads.
normals: [B, N, 3].
)doc");

REGISTER_OP("MeshRendererVertexNormalsGrad")
    .Input("vertices: float32")
    .Input("triangles: int32")
    .Input("vertex_triangles: int32")
    .Input("d_normals: float32")
    .Output("d_vertices: float32")
    .SetShapeFn(NormalsShape)
    .Doc(R"doc(
Gradient of MeshRendererVertexNormals.

vertices: [B, N, 3].
triangles: [F, 3].
vertex_triangles: [N, 8].
d_normals: [B, N, 3], gradient of the loss.
d_vertices: [B, N, 3].
)doc");

class VertexNormalsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Connectivity mesh;
    const Tensor& vertices = context->input(0);
    OP_REQUIRES_OK(context,
                   CheckConnectivity(vertices, context->input(1), context->input(2), &mesh));
    Tensor* normals = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, vertices.shape(), &normals));

    const int64_t stride = 3 * mesh.vertex_count;
    ParallelFor(context, vertices.dim_size(0), [&](int64_t image) {
      VertexNormals(mesh, vertices.flat<float>().data() + stride * image,
                    normals->flat<float>().data() + stride * image);
    });
  }
};

class VertexNormalsGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    Connectivity mesh;
    const Tensor& vertices = context->input(0);
    const Tensor& d_normals = context->input(3);
    OP_REQUIRES_OK(context,
                   CheckConnectivity(vertices, context->input(1), context->input(2), &mesh));
    OP_REQUIRES(
        context, d_normals.shape() == vertices.shape(),
        errors::InvalidArgument("d_normals must have shape ", vertices.shape().DebugString(),
                                ", got ", d_normals.shape().DebugString()));
    Tensor* d_vertices = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, vertices.shape(), &d_vertices));

    const int64_t stride = 3 * mesh.vertex_count;
    ParallelFor(context, vertices.dim_size(0), [&](int64_t image) {
      VertexNormalsGrad(mesh, vertices.flat<float>().data() + stride * image,
                        d_normals.flat<float>().data() + stride * image,
                        d_vertices->flat<float>().data() + stride * image);
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererVertexNormals").Device(DEVICE_CPU), VertexNormalsOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererVertexNormalsGrad").Device(DEVICE_CPU),
                        VertexNormalsGradOp);

}  // namespace
}  // namespace mesh_renderer
