// Cheap conservative bounds of the pixels that a triangle may cover: one projection per vertex, and
// margins for every rounding of the exact test in edge_functions.h.
#ifndef MESH_RENDERER_RASTERIZE_TRIANGLE_BOUNDS_H_
#define MESH_RENDERER_RASTERIZE_TRIANGLE_BOUNDS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

#include "rasterize/host_device.h"
#include "rasterize/rasterize_triangles.h"

namespace mesh_renderer {

// Half the distance from 1 to the next float: the relative error of one operation.
constexpr float kUnit = 5.9604645e-8f;

// The vertices of one image on its pixel grid, interleaved x, y (rightward, downward; pixel i
// extends from i to i + 1); NaN for vertices that are not finite or not in front of the camera. The
// largest and smallest values are those of the other vertices.
struct ScreenVertices {
  std::unique_ptr<float[]> xy;
  float largest_xy = 0;  // largest |x| or |y| in clip space
  float smallest_w = 0;
  float largest_w = 0;
};

inline float FloatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline uint32_t BitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// The references of std::min and std::max prevent vectorization.
inline float Min(float a, float b) { return b < a ? b : a; }
inline float Max(float a, float b) { return a < b ? b : a; }
inline float Min3(float a, float b, float c) { return Min(Min(a, b), c); }
inline float Max3(float a, float b, float c) { return Max(Max(a, b), c); }
// NaN becomes `low`.
inline float Clamp(float value, float low, float high) { return Min(Max(low, value), high); }

NEVER_INLINE inline ScreenVertices ProjectVertices(const Mesh& mesh, int width, int height) {
  ScreenVertices screen;
  screen.xy.reset(new float[2 * mesh.vertex_count]);
  float* __restrict xy = screen.xy.get();
  const float* __restrict clip = mesh.clip_vertices;
  const float scale_x = static_cast<float>(width), scale_y = static_cast<float>(height);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();

  // Floats >= 0 have the order of their bits, and maxima of integers vectorize.
  uint32_t largest_xy = 0, largest_w = 0, smallest_w = BitsOfFloat(largest);
#pragma omp simd reduction(max : largest_xy, largest_w) reduction(min : smallest_w)
  for (int64_t i = 0; i < mesh.vertex_count; ++i) {
    const float x = clip[4 * i], y = clip[4 * i + 1], z = clip[4 * i + 2], w = clip[4 * i + 3];
    const float abs_x = std::fabs(x), abs_y = std::fabs(y);
    const bool usable = (abs_x <= largest) & (abs_y <= largest) & (std::fabs(z) <= largest) &
                        (w > 0) & (w <= largest);
    // The order of operations is the order of the published bounding box.
    xy[2 * i] = usable ? (x / w + 1.0f) * 0.5f * scale_x : nan;
    xy[2 * i + 1] = usable ? (-y / w + 1.0f) * 0.5f * scale_y : nan;

    const uint32_t reach = usable ? BitsOfFloat(abs_x > abs_y ? abs_x : abs_y) : 0;
    const uint32_t w_bits = BitsOfFloat(w);
    const uint32_t high = usable ? w_bits : 0, low = usable ? w_bits : BitsOfFloat(largest);
    largest_xy = reach > largest_xy ? reach : largest_xy;
    largest_w = high > largest_w ? high : largest_w;
    smallest_w = low < smallest_w ? low : smallest_w;
  }

  screen.largest_xy = FloatOfBits(largest_xy);
  screen.largest_w = FloatOfBits(largest_w);
  screen.smallest_w = FloatOfBits(smallest_w);
  return screen;
}

// The distance by which rounding in the exact test can extend coverage beyond a triangle's outline.
//
// The exact test accepts a pixel if three rounded edge functions e_i are >= 0, each within E of its
// true value. From the identities sum_i e_i (x_i - p w_i) = 0 and sum_i e_i w_i = det (p a pixel
// center, det the determinant of the triangle's matrix) it follows that an accepted pixel lies
// outside of the triangle's bounds by at most D E sum(w) / det, where D is its distance from the
// farthest vertex; provided that the rounded det has the right sign. In pixels, E becomes an area,
// det = 2 area w0 w1 w2, and the distance D * reach * E / (2 area). Errors of the cofactors come
// from products as large as the coordinates; errors proportional to the triangle's extent are kept
// apart.
struct RoundingMargins {
  float position;        // error of projected vertices, pixels
  float edge;            // E, twice an area in pixels^2: its constant part
  float edge_per_pixel;  // and its part per pixel of the triangle's extent
  float reach;           // sum(w) / smallest w
  float area;            // twice the area below which det may have the wrong sign: constant part
  float area_per_pixel;  // and part per pixel of the triangle's extent
};

inline RoundingMargins MarginsOf(const ScreenVertices& screen, int width, int height) {
  const float r = screen.largest_xy, w0 = screen.smallest_w, w1 = screen.largest_w;
  const float unit = 1.1f * kUnit;               // first-order bounds, rounded up
  const float quarter = 0.25f * width * height;  // from device units, squared, to pixels
  const float pixel = 2.0f / std::min(width, height);
  RoundingMargins margins;
  margins.position = 2 * unit * std::max(width, height) * (1 + r / w0);
  margins.edge = unit * (4 * r * w1 + 2 * r * r) * quarter / (w0 * w0);
  margins.edge_per_pixel = unit * 9 * w1 * w1 * pixel * quarter / (w0 * w0);
  margins.reach = 3 * w1 / w0;
  margins.area = unit * 6 * r * r * w1 * quarter / (w0 * w0 * w0);
  margins.area_per_pixel = unit * 9 * r * w1 * w1 * pixel * quarter / (w0 * w0 * w0);
  return margins;
}

// The pixels whose centers a triangle may cover: a box, ends inclusive, and for boxes of at most
// 2x2 pixels one bit for each of them: left top, right top, left bottom, right bottom.
struct Box {
  float left, right, top, bottom;
  float outside;       // an edge function below this is certainly negative
  int32_t candidates;  // bits, or one of the constants below
};
constexpr int32_t kLargeBox = 16;  // more than 2x2 pixels
constexpr int32_t kSliver = 32;  // so thin that rounding may change its winding: bounds do not hold
constexpr int32_t kUnbounded = 64;  // a vertex is not finite or not in front of the camera

// A rectangle of pixels, ends exclusive.
struct PixelArea {
  float columns, row_begin, row_end;
};

// Edge functions of a projected triangle in the plane of the image, >= 0 inside.
struct PlanarEdges {
  float dx0, dy0, dx1, dy1, dx2, dy2;
  float x0, y0, x1, y1, x2, y2;

  ALWAYS_INLINE PlanarEdges(const float* v0, const float* v1, const float* v2)
      : x0(v0[0]), y0(v0[1]), x1(v1[0]), y1(v1[1]), x2(v2[0]), y2(v2[1]) {
    const float turn = SignedArea() < 0 ? -1.0f : 1.0f;
    dx0 = turn * (x2 - x1);
    dy0 = turn * (y1 - y2);
    dx1 = turn * (x0 - x2);
    dy1 = turn * (y2 - y0);
    dx2 = turn * (x1 - x0);
    dy2 = turn * (y0 - y1);
  }

  // Twice the area; not finite if a vertex is not.
  ALWAYS_INLINE float SignedArea() const { return (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0); }
  ALWAYS_INLINE float Edge0(float x, float y) const { return dy0 * (x - x1) + dx0 * (y - y1); }
  ALWAYS_INLINE float Edge1(float x, float y) const { return dy1 * (x - x2) + dx1 * (y - y2); }
  ALWAYS_INLINE float Edge2(float x, float y) const { return dy2 * (x - x0) + dx2 * (y - y0); }
  ALWAYS_INLINE float Least(float x, float y) const {
    return Min3(Edge0(x, y), Edge1(x, y), Edge2(x, y));
  }
};

ALWAYS_INLINE inline Box BoundTriangle(const PlanarEdges& t, const RoundingMargins& margins,
                                       const PixelArea& area) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float left = Min3(t.x0, t.x1, t.x2), right = Max3(t.x0, t.x1, t.x2);
  const float top = Min3(t.y0, t.y1, t.y2), bottom = Max3(t.y0, t.y1, t.y2);
  const float extent = Max(right - left, bottom - top);

  // The certain part of twice the area, and the margin around the triangle's bounds.
  const float twice_area = std::fabs(t.SignedArea());
  const float certain = twice_area - 8 * margins.position * (extent + margins.position);
  const float edge = margins.edge + margins.edge_per_pixel * extent;
  const float margin = margins.reach * edge * (extent + 1) / certain + 2 * margins.position;

  // Pixel centers are at half-integers. The published box extends from floor(left) to ceil(right).
  Box box;
  box.left = Max(std::ceil(left - 0.5f - margin), std::floor(left));
  box.right = Min(std::floor(right - 0.5f + margin), std::ceil(right) - 1);
  box.top = Max(std::ceil(top - 0.5f - margin), std::floor(top));
  box.bottom = Min(std::floor(bottom - 0.5f + margin), std::ceil(bottom) - 1);
  box.left = Clamp(box.left, 0, area.columns);
  box.right = Clamp(box.right, -1, area.columns - 1);
  box.top = Clamp(box.top, area.row_begin, area.row_end);
  box.bottom = Clamp(box.bottom, area.row_begin - 1, area.row_end - 1);
  box.outside = -(edge + 8 * margins.position * (extent + 1));

  // Edge functions at the box's first pixel center; the next pixel adds a constant.
  const float x = box.left + 0.5f, y = box.top + 0.5f;
  const float e0 = t.Edge0(x, y), e1 = t.Edge1(x, y), e2 = t.Edge2(x, y);
  const float f0 = e0 + t.dx0, f1 = e1 + t.dx1, f2 = e2 + t.dx2;

  // A bit for each pixel of the box that may be covered, or one of the constants above.
  const float wide = box.right - box.left, high = box.bottom - box.top;
  const int32_t left_top = Min3(e0, e1, e2) < box.outside ? 0 : 1;
  int32_t right_top = Min3(e0 + t.dy0, e1 + t.dy1, e2 + t.dy2) < box.outside ? 0 : 2;
  int32_t left_bottom = Min3(f0, f1, f2) < box.outside ? 0 : 4;
  int32_t right_bottom = Min3(f0 + t.dy0, f1 + t.dy1, f2 + t.dy2) < box.outside ? 0 : 8;
  right_top = wide < 1 ? 0 : right_top;
  left_bottom = high < 1 ? 0 : left_bottom;
  right_bottom = Min(wide, high) < 1 ? 0 : right_bottom;
  box.candidates = left_top | right_top | left_bottom | right_bottom;
  box.candidates = Max(wide, high) > 1 ? kLargeBox : box.candidates;
  box.candidates = Min(wide, high) < 0 ? 0 : box.candidates;
  box.candidates =
      certain > margins.area + margins.area_per_pixel * extent ? box.candidates : kSliver;
  box.candidates = twice_area < infinity ? box.candidates : kUnbounded;
  return box;
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_TRIANGLE_BOUNDS_H_
