#include <algorithm>
#include <cmath>
#include <vector>

#include "pixel_grid.h"
#include "rasterize_triangles.h"

namespace mesh_renderer {
namespace {

// Adds what one pixel contributes to the gradient of its triangle's vertices.
//
// With M = [v0 v1 v2] (columns x, y, w) and p the pixel centre (x, y, 1), the barycentric
// coordinates are b = a / sum(a), a = M^-1 p. Hence db = -(I - b 1^T) M^-1 dM b, and with
// C = cofactor rows of M (M^-1 = C / det):
//     dL/dv_j = -b_j / det * sum_i C_i (g_i - g . b),   g = dL/db.
// M is first sheared so that p becomes (0, 0, 1): the triangle is small and far from the origin of
// clip space, and the cofactors would otherwise be differences of large, nearly equal products.
void AccumulatePixelGradient(const Mesh& mesh, int64_t triangle, float px, float py,
                             const float* b, const float* d_b, float* d_clip_vertices) {
  float x[3], y[3], w[3];
  for (int i = 0; i < 3; ++i) {
    const float* v = mesh.clip_vertices + 4 * int64_t{mesh.triangles[3 * triangle + i]};
    w[i] = v[3];
    x[i] = v[0] - px * w[i];
    y[i] = v[1] - py * w[i];
  }
  const float mean = b[0] * d_b[0] + b[1] * d_b[1] + b[2] * d_b[2];
  float det = 0, sx = 0, sy = 0, sw = 0;
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    const float g = d_b[i] - mean;
    const float edge = x[j] * y[k] - x[k] * y[j];
    sx += g * (y[j] * w[k] - y[k] * w[j]);
    sy += g * (w[j] * x[k] - w[k] * x[j]);
    sw += g * edge;
    det += w[i] * edge;
  }
  if (!(std::abs(det) > 0)) return;  // edge-on to the last bit: no direction is right
  const float scale = -1 / det;
  for (int j = 0; j < 3; ++j) {
    float* d_v = d_clip_vertices + 4 * int64_t{mesh.triangles[3 * triangle + j]};
    const float s = b[j] * scale;
    d_v[0] += s * sx;
    d_v[1] += s * sy;
    d_v[3] += s * (sw - px * sx - py * sy);  // undoes the shear
  }
}

}  // namespace

void RasterizeTrianglesGrad(const Mesh& mesh, int width, int height, const Visibility& visible,
                            const float* d_barycentrics, float* d_clip_vertices) {
  std::fill_n(d_clip_vertices, 4 * mesh.vertex_count, 0.0f);
  const std::vector<float> columns = ColumnCentres(width, width), rows = RowCentres(height);
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      const int64_t p = int64_t{width} * row + column;
      const float* b = visible.barycentrics + 3 * p;
      const float* d_b = d_barycentrics + 3 * p;
      if (b[0] + b[1] + b[2] <= 0) continue;
      if (d_b[0] == 0 && d_b[1] == 0 && d_b[2] == 0) continue;  // masked losses leave many
      AccumulatePixelGradient(mesh, visible.triangle_ids[p], columns[column], rows[row], b, d_b,
                              d_clip_vertices);
    }
  }
}

}  // namespace mesh_renderer
