// The test of a triangle at one pixel center, which decides coverage, and the gradient there. CPU
// and GPU share this file: their pictures are identical bit for bit.
#ifndef MESH_RENDERER_RASTERIZE_EDGE_FUNCTIONS_H_
#define MESH_RENDERER_RASTERIZE_EDGE_FUNCTIONS_H_

#include "rasterize/host_device.h"

namespace mesh_renderer {

// A triangle in clip space.
struct Homogeneous {
  float x0, y0, z0, w0, x1, y1, z1, w1, x2, y2, z2, w2;
};

// Edge functions at a pixel center, all at least 0 inside.
struct EdgeFunctions {
  float e0, e1, e2;
};

// A triangle at a pixel center.
struct Fragment {
  int visible;  // in front of the camera and between the near and the far plane
  float b0, b1, b2, depth;
};

// Edge functions are the products of the cofactors of the triangle's matrix with the pixel center
// (Olano & Greer 1997, section 3). Rounding decides coverage here: the order of operations is the
// order of the published rasterizer, and no operations may be contracted.
HOST_DEVICE ALWAYS_INLINE inline EdgeFunctions EvaluateEdges(const Homogeneous& t, float px,
                                                             float py) {
  const float a0 = t.y1 * t.w2 - t.y2 * t.w1, b0 = t.w1 * t.x2 - t.w2 * t.x1;
  const float c0 = t.x1 * t.y2 - t.x2 * t.y1;
  const float a1 = t.y2 * t.w0 - t.y0 * t.w2, b1 = t.w2 * t.x0 - t.w0 * t.x2;
  const float c1 = t.x2 * t.y0 - t.x0 * t.y2;
  const float a2 = t.y0 * t.w1 - t.y1 * t.w0, b2 = t.w0 * t.x1 - t.w1 * t.x0;
  const float c2 = t.x0 * t.y1 - t.x1 * t.y0;
  const float det = t.x0 * a0 + t.x1 * a1 + t.x2 * a2;
  // The sign at det == 0, the rounding error of a sliver, follows the published rasterizer, whose y
  // axis points down.
  const float s = det > 0 ? 1.0f : -1.0f;
  return {s * (a0 * px + b0 * py + c0), s * (a1 * px + b1 * py + c1), s * (a2 * px + b2 * py + c2)};
}

HOST_DEVICE ALWAYS_INLINE inline bool IsInside(const EdgeFunctions& e) {
  return (e.e0 >= 0) & (e.e1 >= 0) & (e.e2 >= 0);
}

// Barycentric coordinates are the edge functions divided by their sum.
HOST_DEVICE ALWAYS_INLINE inline Fragment MakeFragment(const Homogeneous& t,
                                                       const EdgeFunctions& e) {
  const float sum = e.e0 + e.e1 + e.e2;
  const float q0 = e.e0 / sum, q1 = e.e1 / sum, q2 = e.e2 / sum;
  const float depth = (q0 * t.z0 + q1 * t.z1 + q2 * t.z2) / (q0 * t.w0 + q1 * t.w1 + q2 * t.w2);
  return {(sum > 0) & (depth >= -1) & (depth <= 1), q0, q1, q2, depth};
}

// The gradient of a loss by a triangle's vertices: rows are vertices, columns x, y and w.
struct TriangleGradient {
  float by[3][3];
};

// Computes the contribution of one pixel to the gradient of its triangle's vertices. Returns false
// where the gradient is undefined (degenerate triangle).
//
// With M = [v0 v1 v2] (columns x, y, w) and p the pixel center (x, y, 1), the barycentric
// coordinates are b = a / sum(a), a = M^-1 p. Hence db = -(I - b 1^T) M^-1 dM b, and with
// C = cofactor rows of M (M^-1 = C / det):
//     dL/dv_j = -b_j / det * sum_i C_i (g_i - g . b),   g = dL/db.
// M is first sheared so that p becomes (0, 0, 1): the triangle is small and far from the origin of
// clip space, and the cofactors would otherwise be differences of large, nearly equal products.
HOST_DEVICE inline bool DifferentiatePixel(const float* const vertices[3], float px, float py,
                                           const float* b, const float* d_b, TriangleGradient* d) {
  // 1. Shear.
  float x[3], y[3], w[3];
  for (int i = 0; i < 3; ++i) {
    w[i] = vertices[i][3];
    x[i] = vertices[i][0] - px * w[i];
    y[i] = vertices[i][1] - py * w[i];
  }

  // 2. The sum over i, and det.
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
  if (!(det > 0 || det < 0)) return false;  // edge-on

  // 3. Scale by the barycentric coordinates, and undo the shear.
  const float scale = -1 / det;
  for (int j = 0; j < 3; ++j) {
    const float s = b[j] * scale;
    d->by[j][0] = s * sx;
    d->by[j][1] = s * sy;
    d->by[j][2] = s * (sw - px * sx - py * sy);
  }
  return true;
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_EDGE_FUNCTIONS_H_
