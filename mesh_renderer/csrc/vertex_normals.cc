#include "vertex_normals.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace mesh_renderer {
namespace {

// Squared length below which a vector is scaled up no further (tf.nn.l2_normalize's default).
constexpr float kSmallestSquare = 1e-12f;

struct Vector {
  float x, y, z;
};

Vector Load(const float* p) { return {p[0], p[1], p[2]}; }

void Store(const Vector& v, float* p) {
  p[0] = v.x;
  p[1] = v.y;
  p[2] = v.z;
}

void Add(const Vector& v, float* p) {
  p[0] += v.x;
  p[1] += v.y;
  p[2] += v.z;
}

Vector operator-(const Vector& a, const Vector& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
Vector operator+(const Vector& a, const Vector& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vector operator*(float s, const Vector& a) { return {s * a.x, s * a.y, s * a.z}; }
float Dot(const Vector& a, const Vector& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
Vector Cross(const Vector& a, const Vector& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

float InverseLength(const Vector& v) { return 1 / std::sqrt(std::max(Dot(v, v), kSmallestSquare)); }

// Gradient of v / |v| by v, applied to `d_unit`.
Vector NormaliseGrad(const Vector& v, const Vector& d_unit) {
  const float inverse = InverseLength(v);
  const Vector scaled = inverse * d_unit;
  if (Dot(v, v) <= kSmallestSquare) return scaled;
  const Vector unit = inverse * v;
  return scaled - Dot(scaled, unit) * unit;
}

// v1 - v2, v2 - v3 of a triangle; their cross product points outside.
void Edges(const Connectivity& mesh, const float* vertices, int64_t triangle, Vector* a, Vector* b) {
  const int32_t* corner = mesh.triangles + 3 * triangle;
  const Vector second = Load(vertices + 3 * int64_t{corner[1]});
  *a = Load(vertices + 3 * int64_t{corner[0]}) - second;
  *b = second - Load(vertices + 3 * int64_t{corner[2]});
}

// Unit normals of all triangles, and a zero that answers the padding.
std::vector<float> TriangleNormals(const Connectivity& mesh, const float* vertices) {
  std::vector<float> normals(3 * (mesh.triangle_count + 1), 0.f);
  for (int64_t t = 0; t < mesh.triangle_count; ++t) {
    Vector a, b;
    Edges(mesh, vertices, t, &a, &b);
    const Vector cross = Cross(a, b);
    Store(InverseLength(cross) * cross, &normals[3 * t]);
  }
  return normals;
}

Vector SumAround(const Connectivity& mesh, const std::vector<float>& triangle_normals, int64_t vertex) {
  Vector sum = {0, 0, 0};
  const int32_t* around = mesh.vertex_triangles + kVertexValence * vertex;
  for (int k = 0; k < kVertexValence; ++k) sum = sum + Load(&triangle_normals[3 * int64_t{around[k]}]);
  return sum;
}

}  // namespace

void VertexNormals(const Connectivity& mesh, const float* vertices, float* normals) {
  const std::vector<float> triangle_normals = TriangleNormals(mesh, vertices);
  for (int64_t v = 0; v < mesh.vertex_count; ++v) {
    const Vector sum = SumAround(mesh, triangle_normals, v);
    Store(InverseLength(sum) * sum, normals + 3 * v);
  }
}

void VertexNormalsGrad(const Connectivity& mesh, const float* vertices, const float* d_normals,
                       float* d_vertices) {
  const std::vector<float> triangle_normals = TriangleNormals(mesh, vertices);
  std::vector<float> d_triangle_normals(triangle_normals.size(), 0.f);
  for (int64_t v = 0; v < mesh.vertex_count; ++v) {
    const Vector d_sum = NormaliseGrad(SumAround(mesh, triangle_normals, v), Load(d_normals + 3 * v));
    const int32_t* around = mesh.vertex_triangles + kVertexValence * v;
    for (int k = 0; k < kVertexValence; ++k) Add(d_sum, &d_triangle_normals[3 * int64_t{around[k]}]);
  }
  std::memset(d_vertices, 0, sizeof(float) * 3 * mesh.vertex_count);
  for (int64_t t = 0; t < mesh.triangle_count; ++t) {
    Vector a, b;
    Edges(mesh, vertices, t, &a, &b);
    const Vector d_cross = NormaliseGrad(Cross(a, b), Load(&d_triangle_normals[3 * t]));
    const Vector d_a = Cross(b, d_cross), d_b = Cross(d_cross, a);
    const int32_t* corner = mesh.triangles + 3 * t;
    Add(d_a, d_vertices + 3 * int64_t{corner[0]});
    Add(d_b - d_a, d_vertices + 3 * int64_t{corner[1]});
    Add(-1 * d_b, d_vertices + 3 * int64_t{corner[2]});
  }
}

}  // namespace mesh_renderer
