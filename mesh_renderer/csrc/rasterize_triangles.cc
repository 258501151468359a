// Most triangles of a face are smaller than a pixel and cover no pixel centre. So vertices are
// projected once, triangles are bounded in blocks and mostly rejected there, and only the pairs
// (triangle, pixel) that remain see the exact test. All inner loops run over flat arrays, for the
// compiler to turn into vector instructions.
#include "rasterize_triangles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "pixel_grid.h"

namespace mesh_renderer {
namespace {

constexpr int kBlock = 128;            // triangles bounded, or pairs tested, at once: fits the L1 cache
constexpr int kLargestPairedBox = 32;  // pixels; a larger box is drawn row by row

// Half the distance from 1 to the next float: the relative error of one operation.
constexpr float kUnit = 5.9604645e-8f;

// The vertices of one image on its pixel grid, interleaved x, y (rightward, downward; pixel i spans
// i to i + 1), NaN where a vertex is not finite or not in front of the camera. Bounds hold for all
// others.
struct ScreenVertices {
  std::unique_ptr<float[]> xy;
  float largest_xy = 0;  // of |x|, |y| in clip space
  float smallest_w = 0;
  float largest_w = 0;
};

float FloatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

uint32_t BitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// std::min and std::max go through references, which keeps loops from becoming vector code.
inline float Min(float a, float b) { return b < a ? b : a; }
inline float Max(float a, float b) { return a < b ? b : a; }
inline float Min3(float a, float b, float c) { return Min(Min(a, b), c); }
inline float Clamp(float value, float low, float high) { return Min(Max(value, low), high); }

ScreenVertices ProjectVertices(const Mesh& mesh, int width, int height) {
  ScreenVertices screen;
  screen.xy.reset(new float[2 * mesh.vertex_count]);
  float* __restrict xy = screen.xy.get();
  const float* __restrict clip = mesh.clip_vertices;
  const float scale_x = static_cast<float>(width), scale_y = static_cast<float>(height);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();
  // Floats >= 0 order like their bits, and maxima of integers vectorise.
  uint32_t largest_xy = 0, largest_w = 0, smallest_w = BitsOfFloat(largest);
  for (int64_t i = 0; i < mesh.vertex_count; ++i) {
    const float x = clip[4 * i], y = clip[4 * i + 1], z = clip[4 * i + 2], w = clip[4 * i + 3];
    const float abs_x = std::fabs(x), abs_y = std::fabs(y);
    const bool usable = (abs_x <= largest) & (abs_y <= largest) & (std::fabs(z) <= largest) &
                        (w > 0) & (w <= largest);
    // The order of operations is that of the published bounding box.
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

// How far, in pixels, the exact test's rounding can carry coverage beyond a triangle's outline.
//
// The exact test accepts a pixel where three rounded edge functions e_i are >= 0, each within E of
// its true value. From the identities sum_i e_i (x_i - p w_i) = 0 and sum_i e_i w_i = det (p a
// pixel centre, det the determinant of the triangle's matrix) follows: a pixel that is accepted
// lies outside of the triangle's bounds by at most D E sum(w) / det, D its distance from the
// farthest vertex. With det = 2 area w0 w1 w2 this is D * bounds / (2 area), all in pixels.
struct RoundingMargins {
  float position;  // error of projected vertices, pixels
  float bounds;    // see above, pixels^2
  float area;      // twice the area below which det may have the wrong sign, pixels^2
  float edge;      // E as twice an area, pixels^2
};

RoundingMargins MarginsOf(const ScreenVertices& screen, int width, int height) {
  const float r = screen.largest_xy, w0 = screen.smallest_w, w1 = screen.largest_w;
  const float quarter = 0.25f * width * height;  // from device units, squared, to pixels
  // Rounding of a cofactor's two products, and of the sum over three cofactors, doubled.
  const float edge = 2 * kUnit * (4 * r * w1 + 2 * r * r + 3 * w1 * w1);
  RoundingMargins margins;
  margins.position = 8 * kUnit * std::max(width, height) * (1 + r / w0);
  margins.edge = edge * quarter / (w0 * w0);
  margins.bounds = edge * 3 * w1 * quarter / (w0 * w0 * w0);
  margins.area = 32 * kUnit * r * r * w1 * quarter / (w0 * w0 * w0);
  return margins;
}

// Which pixels each triangle of a block may cover. A box of at most 2x2 pixels has `candidates`, one
// bit per pixel: left top, right top, left bottom, right bottom. Other boxes have kWholeBox. 0 = none.
struct Boxes {
  int32_t left[kBlock], right[kBlock], top[kBlock], bottom[kBlock], candidates[kBlock];
};
constexpr int32_t kWholeBox = 16;

// Pairs of a triangle and a pixel whose centre it may cover, in the order of the triangles.
struct Pairs {
  int count = 0;
  int32_t triangle[kBlock], pixel[kBlock];
  float px[kBlock], py[kBlock];  // the pixel's centre
  float clip[3][4 * kBlock];     // the triangle's vertices
};

// What the exact test says of each pair.
struct Fragments {
  int32_t covered[kBlock];
  float b0[kBlock], b1[kBlock], b2[kBlock], depth[kBlock];
};

// Rounding here decides coverage: the order of operations is that of the published rasteriser.
struct Homogeneous {
  float x0, y0, z0, w0, x1, y1, z1, w1, x2, y2, z2, w2;
};

inline __attribute__((always_inline)) void TestPixel(const Homogeneous& t, float px, float py,
                                                     int i, Fragments* out) {
  const float a0 = t.y1 * t.w2 - t.y2 * t.w1, b0 = t.w1 * t.x2 - t.w2 * t.x1, c0 = t.x1 * t.y2 - t.x2 * t.y1;
  const float a1 = t.y2 * t.w0 - t.y0 * t.w2, b1 = t.w2 * t.x0 - t.w0 * t.x2, c1 = t.x2 * t.y0 - t.x0 * t.y2;
  const float a2 = t.y0 * t.w1 - t.y1 * t.w0, b2 = t.w0 * t.x1 - t.w1 * t.x0, c2 = t.x0 * t.y1 - t.x1 * t.y0;
  const float det = t.x0 * a0 + t.x1 * a1 + t.x2 * a2;
  // A det of exactly 0 is noise of a sliver; the published y axis points down, hence this side.
  const float s = det > 0 ? 1.0f : -1.0f;
  const float e0 = s * (a0 * px + b0 * py + c0);
  const float e1 = s * (a1 * px + b1 * py + c1);
  const float e2 = s * (a2 * px + b2 * py + c2);
  const float sum = e0 + e1 + e2;
  const float q0 = e0 / sum, q1 = e1 / sum, q2 = e2 / sum;
  const float depth = (q0 * t.z0 + q1 * t.z1 + q2 * t.z2) / (q0 * t.w0 + q1 * t.w1 + q2 * t.w2);
  out->covered[i] = (e0 >= 0) & (e1 >= 0) & (e2 >= 0) & (sum > 0) & (depth >= -1) & (depth <= 1);
  out->b0[i] = q0;
  out->b1[i] = q1;
  out->b2[i] = q2;
  out->depth[i] = depth;
}

class BandRasterizer {
 public:
  BandRasterizer(const Mesh& mesh, int row_begin, int row_end, const Image& image)
      : mesh_(mesh),
        image_(image),
        row_begin_(row_begin),
        row_end_(row_end),
        screen_(ProjectVertices(mesh, image.width, image.height)),
        margins_(MarginsOf(screen_, image.width, image.height)),
        column_centres_(ColumnCentres(image.width)),
        row_centres_(RowCentres(image.height)) {}

  void Draw() {
    Clear();
    for (int64_t first = 0; first < mesh_.triangle_count; first += kBlock) {
      const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh_.triangle_count - first));
      GatherCorners(first, count);
      BoundTriangles(count);
      CollectPairs(first, count);
    }
    DrawPairs();
  }

 private:
  void Clear() {
    const int64_t begin = int64_t{image_.width} * row_begin_;
    const int64_t count = int64_t{image_.width} * (row_end_ - row_begin_);
    std::fill_n(image_.barycentrics + 3 * begin, 3 * count, 0.0f);
    std::fill_n(image_.triangle_ids + begin, count, 0);
    std::fill_n(image_.z_buffer + begin, count, 1.0f);
    if (image_.mask) std::fill_n(image_.mask + begin, count, 0.0f);
    if (image_.front_mask) std::fill_n(image_.front_mask + begin, count, 0.0f);
  }

  // Plain 8-byte copies are faster than the processor's gather instructions.
  void GatherCorners(int64_t first, int count) {
    const int32_t* corner = mesh_.triangles + 3 * first;
    const float* xy = screen_.xy.get();
    for (int i = 0; i < count; ++i, corner += 3) {
      std::memcpy(corners_[0] + 2 * i, xy + 2 * int64_t{corner[0]}, 2 * sizeof(float));
      std::memcpy(corners_[1] + 2 * i, xy + 2 * int64_t{corner[1]}, 2 * sizeof(float));
      std::memcpy(corners_[2] + 2 * i, xy + 2 * int64_t{corner[2]}, 2 * sizeof(float));
    }
  }

  void BoundTriangles(int count) {
    const float columns = static_cast<float>(image_.width);
    const float begin = static_cast<float>(row_begin_), end = static_cast<float>(row_end_);
    const float infinity = std::numeric_limits<float>::infinity();
    const RoundingMargins margins = margins_;
    const float* __restrict v0 = corners_[0];
    const float* __restrict v1 = corners_[1];
    const float* __restrict v2 = corners_[2];
    Boxes* __restrict boxes = &boxes_;
    for (int i = 0; i < count; ++i) {
      const float x0 = v0[2 * i], y0 = v0[2 * i + 1], x1 = v1[2 * i], y1 = v1[2 * i + 1];
      const float x2 = v2[2 * i], y2 = v2[2 * i + 1];
      const float left = Min(Min(x0, x1), x2), right = Max(Max(x0, x1), x2);
      const float top = Min(Min(y0, y1), y2), bottom = Max(Max(y0, y1), y2);
      const float signed_area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0);
      const float extent = Max(right - left, bottom - top);
      // What the area is for certain, and at most the published box's one pixel beyond.
      const float area = std::fabs(signed_area) - 8 * margins.position * (extent + margins.position);
      const float certain = area - 2 * (margins.area + margins.bounds);
      const float beyond = margins.bounds * (extent + 1) / area + 2 * margins.position;
      const float margin = certain > 0 ? Min(beyond, 1.0f) : 1.0f;
      // Centres lie at halves. The published box reaches from floor(left) to ceil(right).
      const float c0 = Clamp(Max(std::ceil(left - 0.5f - margin), std::floor(left)), 0, columns);
      const float c1 = Clamp(Min(std::floor(right - 0.5f + margin), std::ceil(right) - 1), -1, columns - 1);
      const float r0 = Clamp(Max(std::ceil(top - 0.5f - margin), std::floor(top)), begin, end);
      const float r1 = Clamp(Min(std::floor(bottom - 0.5f + margin), std::ceil(bottom) - 1), begin - 1, end - 1);
      // Edge tests in the plane, at the box's first pixel centre; one pixel on adds a constant.
      const float px = c0 + 0.5f, py = r0 + 0.5f;
      const float turn = signed_area < 0 ? -1.0f : 1.0f;
      const float e0 = turn * ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py));
      const float e1 = turn * ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py));
      const float e2 = turn * ((x0 - px) * (y1 - py) - (x1 - px) * (y0 - py));
      const float right0 = turn * (y1 - y2), right1 = turn * (y2 - y0), right2 = turn * (y0 - y1);
      const float down0 = turn * (x2 - x1), down1 = turn * (x0 - x2), down2 = turn * (x1 - x0);
      const float f0 = e0 + down0, f1 = e1 + down1, f2 = e2 + down2;
      const float slack = margins.edge + 8 * margins.position * (extent + 1);
      const float outside = margin < 1 ? -slack : -infinity;
      const float wide = c1 - c0, high = r1 - r0;
      int32_t left_top = Min3(e0, e1, e2) < outside ? 0 : 1;
      int32_t right_top = Min3(e0 + right0, e1 + right1, e2 + right2) < outside ? 0 : 2;
      int32_t left_bottom = Min3(f0, f1, f2) < outside ? 0 : 4;
      int32_t right_bottom = Min3(f0 + right0, f1 + right1, f2 + right2) < outside ? 0 : 8;
      right_top = wide < 1 ? 0 : right_top;
      left_bottom = high < 1 ? 0 : left_bottom;
      right_bottom = Min(wide, high) < 1 ? 0 : right_bottom;
      int32_t candidates = left_top | right_top | left_bottom | right_bottom;
      candidates = Max(wide, high) > 1 ? kWholeBox : candidates;
      candidates = Min(wide, high) < 0 ? 0 : candidates;
      // A vertex that is not in front of the camera: no bounds.
      const bool bounded = std::fabs(signed_area) < infinity;
      boxes->left[i] = static_cast<int32_t>(bounded ? c0 : 0);
      boxes->right[i] = static_cast<int32_t>(bounded ? c1 : columns - 1);
      boxes->top[i] = static_cast<int32_t>(bounded ? r0 : begin);
      boxes->bottom[i] = static_cast<int32_t>(bounded ? r1 : end - 1);
      boxes->candidates[i] = bounded ? candidates : kWholeBox;
    }
  }

  void CollectPairs(int64_t first, int count) {
    int32_t kept[kBlock];
    int kept_count = 0;
    for (int i = 0; i < count; ++i) {
      kept[kept_count] = i;
      kept_count += boxes_.candidates[i] != 0;
    }
    for (int k = 0; k < kept_count; ++k) {
      const int i = kept[k];
      const int32_t triangle = static_cast<int32_t>(first + i);
      uint32_t candidates = boxes_.candidates[i];
      if (candidates == kWholeBox) {
        CollectBox(triangle, boxes_.left[i], boxes_.right[i], boxes_.top[i], boxes_.bottom[i]);
        continue;
      }
      if (pairs_.count > kBlock - 4) DrawPairs();
      do {
        const int corner = __builtin_ctz(candidates);
        AddPair(triangle, boxes_.top[i] + (corner >> 1), boxes_.left[i] + (corner & 1));
        candidates &= candidates - 1;
      } while (candidates);
    }
  }

  void CollectBox(int32_t triangle, int left, int right, int top, int bottom) {
    if (int64_t{right - left + 1} * (bottom - top + 1) > kLargestPairedBox) {
      DrawPairs();
      DrawLarge(triangle, left, right, top, bottom);
      return;
    }
    if (pairs_.count > kBlock - kLargestPairedBox) DrawPairs();
    for (int row = top; row <= bottom; ++row) {
      for (int column = left; column <= right; ++column) AddPair(triangle, row, column);
    }
  }

  void AddPair(int32_t triangle, int row, int column) {
    const int i = pairs_.count++;
    const int32_t* corner = mesh_.triangles + 3 * int64_t{triangle};
    const float* clip = mesh_.clip_vertices;
    std::memcpy(pairs_.clip[0] + 4 * i, clip + 4 * int64_t{corner[0]}, 4 * sizeof(float));
    std::memcpy(pairs_.clip[1] + 4 * i, clip + 4 * int64_t{corner[1]}, 4 * sizeof(float));
    std::memcpy(pairs_.clip[2] + 4 * i, clip + 4 * int64_t{corner[2]}, 4 * sizeof(float));
    pairs_.px[i] = column_centres_[column];
    pairs_.py[i] = row_centres_[row];
    pairs_.triangle[i] = triangle;
    pairs_.pixel[i] = row * image_.width + column;
  }

  void DrawPairs() {
    const float* __restrict v0 = pairs_.clip[0];
    const float* __restrict v1 = pairs_.clip[1];
    const float* __restrict v2 = pairs_.clip[2];
    const float* __restrict px = pairs_.px;
    const float* __restrict py = pairs_.py;
    Fragments* __restrict fragments = &fragments_;
    const int count = pairs_.count;
    for (int i = 0; i < count; ++i) {
      const int j = 4 * i;
      TestPixel({v0[j], v0[j + 1], v0[j + 2], v0[j + 3], v1[j], v1[j + 1], v1[j + 2], v1[j + 3],
                 v2[j], v2[j + 1], v2[j + 2], v2[j + 3]}, px[i], py[i], i, fragments);
    }
    KeepNearest();
    pairs_.count = 0;
  }

  // Draws a triangle of any size, wherever its vertices are.
  void DrawLarge(int32_t triangle, int left, int right, int top, int bottom) {
    Homogeneous t;
    float v[12];
    for (int k = 0; k < 3; ++k) {
      std::memcpy(v + 4 * k, mesh_.clip_vertices + 4 * int64_t{mesh_.triangles[3 * int64_t{triangle} + k]},
                  4 * sizeof(float));
    }
    for (float value : v) {
      if (!std::isfinite(value)) return;
    }
    std::memcpy(&t, v, sizeof(t));
    for (int row = top; row <= bottom; ++row) {
      for (int first = left; first <= right; first += kBlock) {
        const int count = std::min(kBlock, right - first + 1);
        const float* __restrict px = column_centres_.data() + first;
        Fragments* __restrict fragments = &fragments_;
        for (int i = 0; i < count; ++i) TestPixel(t, px[i], row_centres_[row], i, fragments);
        for (int i = 0; i < count; ++i) {
          pairs_.triangle[i] = triangle;
          pairs_.pixel[i] = row * image_.width + first + i;
        }
        pairs_.count = count;
        KeepNearest();
        pairs_.count = 0;
      }
    }
  }

  // Of fragments in the order of their triangles, the nearest stays; of equally near, the last.
  void KeepNearest() {
    int32_t covered[kBlock];
    int covered_count = 0;
    for (int i = 0; i < pairs_.count; ++i) {
      covered[covered_count] = i;
      covered_count += fragments_.covered[i];
    }
    for (int k = 0; k < covered_count; ++k) {
      const int i = covered[k];
      const int64_t pixel = pairs_.pixel[i];
      if (mesh_.layers) {
        const uint8_t layers = mesh_.layers[pairs_.triangle[i]];
        if (image_.front_mask && (layers & kFrontMask)) image_.front_mask[pixel] = 1;
        if (!(layers & kPicture)) continue;
      }
      if (fragments_.depth[i] > image_.z_buffer[pixel]) continue;
      image_.z_buffer[pixel] = fragments_.depth[i];
      image_.triangle_ids[pixel] = pairs_.triangle[i];
      image_.barycentrics[3 * pixel] = fragments_.b0[i];
      image_.barycentrics[3 * pixel + 1] = fragments_.b1[i];
      image_.barycentrics[3 * pixel + 2] = fragments_.b2[i];
      if (image_.mask) image_.mask[pixel] = 1;
    }
  }

  const Mesh mesh_;
  const Image image_;
  const int row_begin_, row_end_;
  const ScreenVertices screen_;
  const RoundingMargins margins_;
  const std::vector<float> column_centres_, row_centres_;
  float corners_[3][2 * kBlock];
  Boxes boxes_;
  Pairs pairs_;
  Fragments fragments_;
};

}  // namespace

void RasterizeTriangles(const Mesh& mesh, int row_begin, int row_end, const Image& image) {
  if (row_begin < row_end) BandRasterizer(mesh, row_begin, row_end, image).Draw();
}

}  // namespace mesh_renderer
