// Vertex normals and their gradient, in blocks. Corners are gathered with plain loads; the
// arithmetic runs over flat arrays, which the compiler turns into vector instructions. Vectors that
// are gathered or scattered by vertex have four floats: one load, one addition, one store.
#include "decode/vertex_normals.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace mesh_renderer {
namespace {

// Lower bound of a squared length when a vector is normalized (tf.nn.l2_normalize's default).
constexpr float kSmallestSquare = 1e-12f;
constexpr int kBlock = 256;  // triangles or vertices processed at once: fits the L1 cache

// x, y, z and 0. GCC's and Clang's portable vectors.
typedef float Vector4 __attribute__((vector_size(16)));

inline Vector4 Load(const float* p) {
  Vector4 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

inline void Store(const Vector4& v, float* p) { std::memcpy(p, &v, sizeof(v)); }
inline void Add(const Vector4& v, float* p) { Store(Load(p) + v, p); }

// Coordinates of a block of vectors.
struct Vectors {
  float x[kBlock], y[kBlock], z[kBlock];
};

// Edges v1 - v2 and v2 - v3 of a block of triangles; their cross product points outward.
struct Edges {
  Vectors a, b;
};

void GatherEdges(const Connectivity& mesh, const float* vertices, int64_t first, int count,
                 Edges* edges) {
  const int32_t* corner = mesh.triangles + 3 * first;
  for (int i = 0; i < count; ++i, corner += 3) {
    const float* v0 = vertices + 3 * int64_t{corner[0]};
    const float* v1 = vertices + 3 * int64_t{corner[1]};
    const float* v2 = vertices + 3 * int64_t{corner[2]};
    edges->a.x[i] = v0[0] - v1[0];
    edges->a.y[i] = v0[1] - v1[1];
    edges->a.z[i] = v0[2] - v1[2];
    edges->b.x[i] = v1[0] - v2[0];
    edges->b.y[i] = v1[1] - v2[1];
    edges->b.z[i] = v1[2] - v2[2];
  }
}

inline float InverseLength(float x, float y, float z) {
  const float square = x * x + y * y + z * z;
  return 1 / std::sqrt(square > kSmallestSquare ? square : kSmallestSquare);
}

// Writes the unit normals of all triangles, [triangle_count + 1, 4]; the last is 0, for the padding
// of vertex_triangles.
void TriangleNormals(const Connectivity& mesh, const float* vertices, float* normals) {
  Edges edges;
  for (int64_t first = 0; first < mesh.triangle_count; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh.triangle_count - first));
    GatherEdges(mesh, vertices, first, count, &edges);
    const Vectors &a = edges.a, &b = edges.b;
    float* __restrict out = normals + 4 * first;

#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float x = a.y[i] * b.z[i] - a.z[i] * b.y[i];
      const float y = a.z[i] * b.x[i] - a.x[i] * b.z[i];
      const float z = a.x[i] * b.y[i] - a.y[i] * b.x[i];
      const float scale = InverseLength(x, y, z);
      out[4 * i] = scale * x;
      out[4 * i + 1] = scale * y;
      out[4 * i + 2] = scale * z;
      out[4 * i + 3] = 0;
    }
  }
  Store(Vector4{}, normals + 4 * mesh.triangle_count);
}

// Writes the sums [count, 4] of the normals around `count` vertices, the first of which is `first`.
void SumsAround(const Connectivity& mesh, const float* triangle_normals, int64_t first, int count,
                float* sums) {
  const int32_t* around = mesh.vertex_triangles + kVertexValence * first;
  for (int i = 0; i < count; ++i, around += kVertexValence) {
    Vector4 sum = Load(triangle_normals + 4 * int64_t{around[0]});
    for (int k = 1; k < kVertexValence; ++k) sum += Load(triangle_normals + 4 * int64_t{around[k]});
    Store(sum, sums + 4 * i);
  }
}

// Replaces the gradient (dx, dy, dz) by (x, y, z) / |(x, y, z)| with the gradient by (x, y, z).
inline void NormalizeGrad(float x, float y, float z, float* dx, float* dy, float* dz) {
  const float square = x * x + y * y + z * z;
  const float inverse = 1 / std::sqrt(square > kSmallestSquare ? square : kSmallestSquare);
  const float along = (x * *dx + y * *dy + z * *dz) * inverse * inverse;
  // The length of a vector that was not normalized may change.
  const float radial = square > kSmallestSquare ? along : 0;
  *dx = inverse * (*dx - radial * x);
  *dy = inverse * (*dy - radial * y);
  *dz = inverse * (*dz - radial * z);
}

// Adds the contribution of the vertices to the gradient [triangle_count + 1, 4] by the normals of
// the triangles.
void ScatterToTriangles(const Connectivity& mesh, const float* triangle_normals,
                        const float* d_normals, float* d_triangle_normals) {
  float sums[4 * kBlock], d_sums[4 * kBlock];
  for (int64_t first = 0; first < mesh.vertex_count; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh.vertex_count - first));

    // The gradients by the sums around the vertices of this block.
    SumsAround(mesh, triangle_normals, first, count, sums);
    const float* __restrict d = d_normals + 3 * first;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      float x = d[3 * i], y = d[3 * i + 1], z = d[3 * i + 2];
      NormalizeGrad(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], &x, &y, &z);
      d_sums[4 * i] = x;
      d_sums[4 * i + 1] = y;
      d_sums[4 * i + 2] = z;
      d_sums[4 * i + 3] = 0;
    }

    // Each sum passes its gradient to the triangles around its vertex.
    const int32_t* around = mesh.vertex_triangles + kVertexValence * first;
    for (int i = 0; i < count; ++i, around += kVertexValence) {
      const Vector4 d_sum = Load(d_sums + 4 * i);
      for (int k = 0; k < kVertexValence; ++k) {
        Add(d_sum, d_triangle_normals + 4 * int64_t{around[k]});
      }
    }
  }
}

// Adds the contribution of the triangles to the gradient [vertex_count, 4] by the vertices.
void ScatterToVertices(const Connectivity& mesh, const float* vertices,
                       const float* d_triangle_normals, float* d_vertices) {
  Edges edges;
  float d_a[4 * kBlock] = {}, d_b[4 * kBlock] = {};
  for (int64_t first = 0; first < mesh.triangle_count; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh.triangle_count - first));
    GatherEdges(mesh, vertices, first, count, &edges);
    const Vectors &a = edges.a, &b = edges.b;
    const float* __restrict d = d_triangle_normals + 4 * first;

    // The gradients by the two edges of each triangle of this block.
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      float x = d[4 * i], y = d[4 * i + 1], z = d[4 * i + 2];
      NormalizeGrad(a.y[i] * b.z[i] - a.z[i] * b.y[i], a.z[i] * b.x[i] - a.x[i] * b.z[i],
                    a.x[i] * b.y[i] - a.y[i] * b.x[i], &x, &y, &z);
      // With c = a x b: da = b x dc, db = dc x a.
      d_a[4 * i] = b.y[i] * z - b.z[i] * y;
      d_b[4 * i] = y * a.z[i] - z * a.y[i];
      d_a[4 * i + 1] = b.z[i] * x - b.x[i] * z;
      d_b[4 * i + 1] = z * a.x[i] - x * a.z[i];
      d_a[4 * i + 2] = b.x[i] * y - b.y[i] * x;
      d_b[4 * i + 2] = x * a.y[i] - y * a.x[i];
    }

    // a = v0 - v1, b = v1 - v2.
    const int32_t* corner = mesh.triangles + 3 * first;
    for (int i = 0; i < count; ++i, corner += 3) {
      const Vector4 of_a = Load(d_a + 4 * i), of_b = Load(d_b + 4 * i);
      Add(of_a, d_vertices + 4 * int64_t{corner[0]});
      Add(of_b - of_a, d_vertices + 4 * int64_t{corner[1]});
      Add(-of_b, d_vertices + 4 * int64_t{corner[2]});
    }
  }
}

// Scratch memory that each thread reuses from one image to the next: the first use of a page costs
// as much as the work in it.
float* Scratch(int which, int64_t count) {
  static thread_local std::vector<float> kept[3];
  if (static_cast<int64_t>(kept[which].size()) < count) kept[which].resize(count);
  return kept[which].data();
}

}  // namespace

void VertexNormals(const Connectivity& mesh, const float* vertices, float* normals) {
  float* triangle_normals = Scratch(0, 4 * (mesh.triangle_count + 1));
  TriangleNormals(mesh, vertices, triangle_normals);

  float sums[4 * kBlock];
  for (int64_t first = 0; first < mesh.vertex_count; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh.vertex_count - first));
    SumsAround(mesh, triangle_normals, first, count, sums);
    float* __restrict out = normals + 3 * first;

#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float scale = InverseLength(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2]);
      out[3 * i] = scale * sums[4 * i];
      out[3 * i + 1] = scale * sums[4 * i + 1];
      out[3 * i + 2] = scale * sums[4 * i + 2];
    }
  }
}

void VertexNormalsGrad(const Connectivity& mesh, const float* vertices, const float* d_normals,
                       float* d_vertices) {
  float* triangle_normals = Scratch(0, 4 * (mesh.triangle_count + 1));
  TriangleNormals(mesh, vertices, triangle_normals);

  // From vertex normals to triangle normals to vertices.
  float* d_triangle_normals = Scratch(1, 4 * (mesh.triangle_count + 1));
  std::fill_n(d_triangle_normals, 4 * (mesh.triangle_count + 1), 0.0f);
  ScatterToTriangles(mesh, triangle_normals, d_normals, d_triangle_normals);
  float* d_padded = Scratch(2, 4 * mesh.vertex_count);
  std::fill_n(d_padded, 4 * mesh.vertex_count, 0.0f);
  ScatterToVertices(mesh, vertices, d_triangle_normals, d_padded);

  for (int64_t v = 0; v < mesh.vertex_count; ++v) {
    for (int i = 0; i < 3; ++i) d_vertices[3 * v + i] = d_padded[4 * v + i];
  }
}

}  // namespace mesh_renderer
