#include "rasterize_triangles.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mesh_renderer {
namespace {

// Published rasterisers take pixel centres in double precision and round once; coverage of a
// centre that lies exactly on an edge depends on it.
float PixelCentre(int pixel, int size) {
  return static_cast<float>(2.0 * (pixel + 0.5) / size - 1.0);
}

struct Triangle {
  const float* v[3];
};

Triangle GetTriangle(const Mesh& mesh, int64_t t) {
  Triangle triangle;
  for (int i = 0; i < 3; ++i) {
    triangle.v[i] = mesh.clip_vertices + 4 * static_cast<int64_t>(mesh.triangles[3 * t + i]);
  }
  return triangle;
}

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
  const Triangle corners = GetTriangle(mesh, triangle);
  for (int i = 0; i < 3; ++i) {
    w[i] = corners.v[i][3];
    x[i] = corners.v[i][0] - px * w[i];
    y[i] = corners.v[i][1] - py * w[i];
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

void RasterizeTriangles(const Mesh& mesh, int row_begin, int row_end, const Image& image) {
  const int W = image.width;
  const int H = image.height;
  for (int64_t p = int64_t{W} * row_begin; p < int64_t{W} * row_end; ++p) {
    for (int k = 0; k < 3; ++k) image.barycentrics[3 * p + k] = 0;
    image.triangle_ids[p] = 0;
    image.z_buffer[p] = 1;
    if (image.mask) image.mask[p] = 0;
    if (image.front_mask) image.front_mask[p] = 0;
  }
  for (int64_t t = 0; t < mesh.triangle_count; ++t) {
    const Triangle tri = GetTriangle(mesh, t);
    float m[3][3];
    bool finite = true, positive = true;
    float x0 = 1e30f, x1 = -1e30f, y0 = 1e30f, y1 = -1e30f;
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 4; ++k) finite &= std::isfinite(tri.v[i][k]);
      const float* a = tri.v[(i + 1) % 3];
      const float* b = tri.v[(i + 2) % 3];
      m[i][0] = a[1] * b[3] - b[1] * a[3];
      m[i][1] = a[3] * b[0] - b[3] * a[0];
      m[i][2] = a[0] * b[1] - b[0] * a[1];
      const float w = tri.v[i][3];
      positive &= w > 0;
      const float sx = (tri.v[i][0] / w + 1.0f) * 0.5f * W, sy = (-tri.v[i][1] / w + 1.0f) * 0.5f * H;
      x0 = std::min(x0, sx); x1 = std::max(x1, sx);
      y0 = std::min(y0, sy); y1 = std::max(y1, sy);
    }
    if (!finite) continue;
    int left = 0, right = W, top = row_begin, bottom = row_end;
    if (positive) {
      left = std::max(0.0f, std::floor(x0)); right = std::min<float>(W, std::ceil(x1));
      top = std::max<float>(row_begin, std::floor(y0)); bottom = std::min<float>(row_end, std::ceil(y1));
    }
    const float det = tri.v[0][0] * m[0][0] + tri.v[1][0] * m[1][0] + tri.v[2][0] * m[2][0];
    if (det < 0) for (auto& row : m) for (float& value : row) value = -value;
    for (int r = top; r < bottom; ++r) {
      const float py = -PixelCentre(r, H);
      for (int c = left; c < right; ++c) {
        const float px = PixelCentre(c, W);
        float e[3];
        for (int i = 0; i < 3; ++i) e[i] = m[i][0] * px + m[i][1] * py + m[i][2];
        if (!(e[0] >= 0 && e[1] >= 0 && e[2] >= 0 && (e[0] > 0 || e[1] > 0 || e[2] > 0))) continue;
        const float sum = e[0] + e[1] + e[2];
        const float b[3] = {e[0] / sum, e[1] / sum, e[2] / sum};
        const float z = b[0] * tri.v[0][2] + b[1] * tri.v[1][2] + b[2] * tri.v[2][2];
        const float w = b[0] * tri.v[0][3] + b[1] * tri.v[1][3] + b[2] * tri.v[2][3];
        const float depth = z / w;
        if (!(depth >= -1 && depth <= 1)) continue;
        const int64_t p = int64_t{W} * r + c;
        const uint8_t layers = mesh.layers ? mesh.layers[t] : static_cast<uint8_t>(kPicture);
        if (image.front_mask && (layers & kFrontMask)) image.front_mask[p] = 1;
        if (!(layers & kPicture)) continue;
        if (depth > image.z_buffer[p]) continue;
        image.z_buffer[p] = depth;
        image.triangle_ids[p] = static_cast<int32_t>(t);
        if (image.mask) image.mask[p] = 1;
        for (int i = 0; i < 3; ++i) image.barycentrics[3 * p + i] = b[i];
      }
    }
  }
}

void RasterizeTrianglesGrad(const Mesh& mesh, int width, int height, const Visibility& visible,
                            const float* d_barycentrics, float* d_clip_vertices) {
  std::memset(d_clip_vertices, 0, sizeof(float) * 4 * mesh.vertex_count);
  for (int row = 0; row < height; ++row) {
    const float py = -PixelCentre(row, height);
    for (int column = 0; column < width; ++column) {
      const int64_t p = int64_t{width} * row + column;
      const float* b = visible.barycentrics + 3 * p;
      if (b[0] + b[1] + b[2] <= 0) continue;
      AccumulatePixelGradient(mesh, visible.triangle_ids[p], PixelCentre(column, width), py, b,
                              d_barycentrics + 3 * p, d_clip_vertices);
    }
  }
}

void InterpolateAttributes(const Mesh& mesh, const Visibility& visible, const float* attributes,
                           int64_t channels, int64_t pixel_begin, int64_t pixel_end, float* image) {
  for (int64_t p = pixel_begin; p < pixel_end; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* out = image + channels * p;
    if (b[0] + b[1] + b[2] <= 0) {
      std::fill(out, out + channels, 0.0f);
      continue;
    }
    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    const float* a0 = attributes + channels * corner[0];
    const float* a1 = attributes + channels * corner[1];
    const float* a2 = attributes + channels * corner[2];
    for (int64_t c = 0; c < channels; ++c) out[c] = b[0] * a0[c] + b[1] * a1[c] + b[2] * a2[c];
  }
}

void InterpolateAttributesGrad(const Mesh& mesh, const Visibility& visible,
                               const float* attributes, int64_t channels, const float* d_image,
                               float* d_attributes, float* d_barycentrics) {
  std::memset(d_attributes, 0, sizeof(float) * channels * mesh.vertex_count);
  for (int64_t p = 0; p < visible.pixel_count; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* d_b = d_barycentrics + 3 * p;
    d_b[0] = d_b[1] = d_b[2] = 0;
    if (b[0] + b[1] + b[2] <= 0) continue;
    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    const float* d_pixel = d_image + channels * p;
    for (int i = 0; i < 3; ++i) {
      const float* a = attributes + channels * corner[i];
      float* d_a = d_attributes + channels * corner[i];
      float sum = 0;
      for (int64_t c = 0; c < channels; ++c) {
        sum += d_pixel[c] * a[c];
        d_a[c] += d_pixel[c] * b[i];
      }
      d_b[i] = sum;
    }
  }
}

}  // namespace mesh_renderer
