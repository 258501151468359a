// Vertex normals of a triangle mesh and their gradient. Independent of TensorFlow.
#ifndef MESH_RENDERER_DECODE_VERTEX_NORMALS_H_
#define MESH_RENDERER_DECODE_VERTEX_NORMALS_H_

#include <cstdint>

namespace mesh_renderer {

// Number of triangles listed around each vertex.
constexpr int kVertexValence = 8;

// The connectivity that all images share.
struct Connectivity {
  const int32_t* triangles;         // [triangle_count, 3], in [0, vertex_count)
  const int32_t* vertex_triangles;  // [vertex_count, 8], in [0, triangle_count]; the last pads
  int64_t vertex_count;
  int64_t triangle_count;
};

// Writes the normals [vertex_count, 3] of vertices [vertex_count, 3]: the normalized sum of the
// unit normals of the triangles listed around each vertex. A sum close to 0 gives a normal shorter
// than 1.
void VertexNormals(const Connectivity& mesh, const float* vertices, float* normals);

// Writes the gradient d_vertices [vertex_count, 3], given the gradient by the normals.
void VertexNormalsGrad(const Connectivity& mesh, const float* vertices, const float* d_normals,
                       float* d_vertices);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_DECODE_VERTEX_NORMALS_H_
