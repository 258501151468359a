// The gradient of the rasterizer on the CPU.
#include <algorithm>
#include <vector>

#include "rasterize/edge_functions.h"
#include "rasterize/pixel_grid.h"
#include "rasterize/rasterize_triangles.h"

namespace mesh_renderer {
namespace {

// Adds the contribution of one pixel to the gradient of its triangle's vertices.
void AccumulatePixelGradient(const Mesh& mesh, int64_t triangle, float px, float py, const float* b,
                             const float* d_b, float* d_clip_vertices) {
  const int32_t* corner = mesh.triangles + 3 * triangle;
  const float* const vertices[3] = {mesh.clip_vertices + 4 * int64_t{corner[0]},
                                    mesh.clip_vertices + 4 * int64_t{corner[1]},
                                    mesh.clip_vertices + 4 * int64_t{corner[2]}};
  TriangleGradient d;
  if (!DifferentiatePixel(vertices, px, py, b, d_b, &d)) return;

  for (int j = 0; j < 3; ++j) {
    float* d_v = d_clip_vertices + 4 * int64_t{corner[j]};
    d_v[0] += d.by[j][0];
    d_v[1] += d.by[j][1];
    d_v[3] += d.by[j][2];
  }
}

}  // namespace

void RasterizeTrianglesGrad(const Mesh& mesh, int width, int height, const Visibility& visible,
                            const float* d_barycentrics, float* d_clip_vertices) {
  std::fill_n(d_clip_vertices, 4 * mesh.vertex_count, 0.0f);
  const std::vector<float> columns = ColumnCenters(width, width), rows = RowCenters(height);

  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column) {
      const int64_t p = int64_t{width} * row + column;
      const float* b = visible.barycentrics + 3 * p;
      const float* d_b = d_barycentrics + 3 * p;
      if (b[0] + b[1] + b[2] <= 0) continue;
      if (d_b[0] == 0 && d_b[1] == 0 && d_b[2] == 0) continue;  // frequent with masked losses
      AccumulatePixelGradient(mesh, visible.triangle_ids[p], columns[column], rows[row], b, d_b,
                              d_clip_vertices);
    }
  }
}

}  // namespace mesh_renderer
