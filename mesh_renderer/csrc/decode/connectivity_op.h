// Checks of a mesh's connectivity, shared by the TensorFlow operations on surfaces.
#ifndef MESH_RENDERER_DECODE_CONNECTIVITY_OP_H_
#define MESH_RENDERER_DECODE_CONNECTIVITY_OP_H_

#include <cstdint>

#include "decode/vertex_normals.h"
#include "rasterize/op_support.h"

namespace mesh_renderer {

// Checks vertices [B, N, 3], triangles [F, 3] and vertex_triangles [N, 8].
inline Status CheckConnectivity(const Tensor& vertices, const Tensor& triangles,
                                const Tensor& around, Connectivity* mesh) {
  if (vertices.dims() != 3 || vertices.dim_size(2) != 3) {
    return errors::InvalidArgument("vertices must have shape [B, N, 3], got ",
                                   vertices.shape().DebugString());
  }
  const int64_t vertex_count = vertices.dim_size(1);
  TF_RETURN_IF_ERROR(CheckTriangles(triangles, vertex_count));
  if (around.dims() != 2 || around.dim_size(0) != vertex_count ||
      around.dim_size(1) != kVertexValence) {
    return errors::InvalidArgument("vertex_triangles must have shape [", vertex_count, ", ",
                                   kVertexValence, "], got ", around.shape().DebugString());
  }
  *mesh = {triangles.flat<int32_t>().data(), around.flat<int32_t>().data(), vertex_count,
           triangles.dim_size(0)};

  // An unsigned comparison catches negative indices too; the loop without exit is a vector loop.
  uint32_t largest = 0;
  for (int64_t i = 0; i < around.NumElements(); ++i) {
    const uint32_t index = static_cast<uint32_t>(mesh->vertex_triangles[i]);
    largest = index > largest ? index : largest;
  }
  if (largest > mesh->triangle_count) {
    return errors::InvalidArgument("vertex_triangles must lie in [0, ", mesh->triangle_count,
                                   "], got ", static_cast<int32_t>(largest));
  }
  return Ok();
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_DECODE_CONNECTIVITY_OP_H_
