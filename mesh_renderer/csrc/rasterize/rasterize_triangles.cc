// The rasterizer on the CPU. Most triangles of a face are smaller than a pixel and cover no pixel
// center. So vertices are projected once, triangles are bounded in blocks, where most are rejected,
// and the exact test runs on the remaining pairs (triangle, pixel) only. All inner loops run over
// flat arrays, which the compiler turns into vector instructions.
#include "rasterize/rasterize_triangles.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "rasterize/edge_functions.h"
#include "rasterize/pixel_grid.h"
#include "rasterize/triangle_bounds.h"

namespace mesh_renderer {
namespace {

constexpr int kLargestPairedBox = 16;  // pixels; in larger boxes, pairing costs more than it saves
constexpr int kBlock = 256;  // triangles bounded or pixels tested at once: fits the L1 cache

// GCC's and Clang's portable vectors, for rows of a few pixels.
constexpr int kLanes = 8;
typedef int32_t IntLanes __attribute__((vector_size(4 * kLanes)));
typedef float FloatLanes __attribute__((vector_size(4 * kLanes)));

// The boxes of a block of triangles, as integers.
struct Bounds {
  int32_t left[kBlock], right[kBlock], top[kBlock], bottom[kBlock];
  float outside[kBlock];
  int32_t first[kBlock];   // 4 * triangle in the block + corner of its first candidate; -1 without
  int32_t others[kBlock];  // the other candidates
};

// Pairs of a triangle and a pixel whose center it may cover.
struct Pairs {
  int count = 0;
  int32_t triangle[kBlock], pixel[kBlock];
  float px[kBlock], py[kBlock];  // the pixel's center
  float clip[3][4 * kBlock];     // the triangle's vertices
};

// Pixels of one triangle, with room for the surplus lanes of AddPixels.
struct Pixels {
  int count = 0;
  int32_t pixel[kBlock + kLanes];
  float px[kBlock + kLanes] = {}, py[kBlock + kLanes] = {};
};

// Results of the exact test of each pair or pixel.
struct Fragments {
  int32_t covered[kBlock];
  float b0[kBlock], b1[kBlock], b2[kBlock], depth[kBlock];
};

ALWAYS_INLINE inline void TestPixel(const Homogeneous& t, float px, float py, int i,
                                    Fragments* out) {
  const EdgeFunctions edges = EvaluateEdges(t, px, py);
  const Fragment fragment = MakeFragment(t, edges);
  out->covered[i] = IsInside(edges) & fragment.visible;
  out->b0[i] = fragment.b0;
  out->b1[i] = fragment.b1;
  out->b2[i] = fragment.b2;
  out->depth[i] = fragment.depth;
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
        area_{static_cast<float>(image.width), static_cast<float>(row_begin),
              static_cast<float>(row_end)},
        column_centers_(ColumnCenters(image.width + kLanes, image.width)),
        row_centers_(RowCenters(image.height)) {}

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

  // Plain 8-byte copies are faster than gather instructions.
  NEVER_INLINE void GatherCorners(int64_t first, int count) {
    const int32_t* corner = mesh_.triangles + 3 * first;
    const float* xy = screen_.xy.get();
    for (int i = 0; i < count; ++i, corner += 3) {
      std::memcpy(corners_[0] + 2 * i, xy + 2 * int64_t{corner[0]}, 2 * sizeof(float));
      std::memcpy(corners_[1] + 2 * i, xy + 2 * int64_t{corner[1]}, 2 * sizeof(float));
      std::memcpy(corners_[2] + 2 * i, xy + 2 * int64_t{corner[2]}, 2 * sizeof(float));
    }
  }

  NEVER_INLINE void BoundTriangles(int count) {
    const RoundingMargins margins = margins_;
    const PixelArea area = area_;
    const float* __restrict v0 = corners_[0];
    const float* __restrict v1 = corners_[1];
    const float* __restrict v2 = corners_[2];
    Bounds* __restrict bounds = &bounds_;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const Box box = BoundTriangle({v0 + 2 * i, v1 + 2 * i, v2 + 2 * i}, margins, area);
      bounds->left[i] = static_cast<int32_t>(box.left);
      bounds->right[i] = static_cast<int32_t>(box.right);
      bounds->top[i] = static_cast<int32_t>(box.top);
      bounds->bottom[i] = static_cast<int32_t>(box.bottom);
      bounds->outside[i] = box.outside;

      // Separate the first candidate from the others.
      const int32_t bits = box.candidates;
      int32_t corner = bits & 4 ? 2 : 3;
      corner = bits & 2 ? 1 : corner;
      corner = bits & 1 ? 0 : corner;
      const int32_t selected = 4 * i + corner;
      bounds->first[i] = bits & 15 ? selected : -1;
      const int32_t others = bits & (bits - 1);
      bounds->others[i] = bits < kLargeBox ? others : bits;
    }
  }

  // Pairs may have any order: KeepNearest settles ties by the triangles' indices.
  NEVER_INLINE void CollectPairs(int64_t first, int count) {
    int32_t selected[kBlock] = {}, more[kBlock];
    int selected_count = 0, more_count = 0;
    for (int i = 0; i < count; ++i) {
      selected[selected_count] = bounds_.first[i];
      selected_count += bounds_.first[i] >= 0;
      more[more_count] = i;
      more_count += bounds_.others[i] != 0;
    }
    AddSelected(first, selected, selected_count);
    for (int k = 0; k < more_count; ++k) CollectOthers(first, more[k]);
  }

  // Adds pairs given as 4 * triangle in the block + corner of its 2x2 box.
  NEVER_INLINE void AddSelected(int64_t first, const int32_t* selected, int count) {
    for (int k = 0; k < count;) {
      const int pair = pairs_.count;
      const int room = std::min(count - k, kBlock - pair);
      for (int n = 0; n < room; ++n) {
        const int i = selected[k + n] >> 2, corner = selected[k + n] & 3;
        const int row = bounds_.top[i] + (corner >> 1), column = bounds_.left[i] + (corner & 1);
        SetPair(pair + n, static_cast<int32_t>(first + i), row, column, &pairs_);
      }
      k += room;
      pairs_.count = pair + room;
      if (pairs_.count == kBlock) DrawPairs();
    }
  }

  // Adds pairs, or draws pixels, of all but the first candidate of triangle i in the block.
  void CollectOthers(int64_t first, int i) {
    const int32_t triangle = static_cast<int32_t>(first + i);
    uint32_t others = bounds_.others[i];
    if (others < kLargeBox) {
      for (; others; others &= others - 1) {
        const int corner = __builtin_ctz(others);
        AddPair(triangle, bounds_.top[i] + (corner >> 1), bounds_.left[i] + (corner & 1));
      }
    } else if (others == kLargeBox) {
      CollectBox(triangle, i);
    } else if (others == kSliver) {
      DrawSliver(triangle, {corners_[0] + 2 * i, corners_[1] + 2 * i, corners_[2] + 2 * i});
    } else {
      DrawBox(triangle, 0, image_.width - 1, row_begin_, row_end_ - 1);
    }
  }

  // Adds the pairs of a box of more than 2x2 pixels, without pixels that are certainly outside.
  NEVER_INLINE void CollectBox(int32_t triangle, int i) {
    const int left = bounds_.left[i], right = bounds_.right[i];
    const int top = bounds_.top[i], bottom = bounds_.bottom[i];
    if (int64_t{right - left + 1} * (bottom - top + 1) > kLargestPairedBox) {
      DrawBox(triangle, left, right, top, bottom);
      return;
    }

    const PlanarEdges edges(corners_[0] + 2 * i, corners_[1] + 2 * i, corners_[2] + 2 * i);
    for (int row = top; row <= bottom; ++row) {
      for (int column = left; column <= right; ++column) {
        const float least = edges.Least(column + 0.5f, row + 0.5f);
        if (!(least < bounds_.outside[i])) AddPair(triangle, row, column);
      }
    }
  }

  // Rounding decides the coverage of a sliver: every pixel of the published box is tested.
  void DrawSliver(int32_t triangle, const PlanarEdges& edges) {
    const float left = std::floor(Min3(edges.x0, edges.x1, edges.x2));
    const float right = std::ceil(Max3(edges.x0, edges.x1, edges.x2));
    const float top = std::floor(Min3(edges.y0, edges.y1, edges.y2));
    const float bottom = std::ceil(Max3(edges.y0, edges.y1, edges.y2));
    DrawBox(triangle, static_cast<int>(Clamp(left, 0, area_.columns)),
            static_cast<int>(Clamp(right, 0, area_.columns)) - 1,
            static_cast<int>(Clamp(top, area_.row_begin, area_.row_end)),
            static_cast<int>(Clamp(bottom, area_.row_begin, area_.row_end)) - 1);
  }

  void AddPair(int32_t triangle, int row, int column) {
    SetPair(pairs_.count++, triangle, row, column, &pairs_);
    if (pairs_.count == kBlock) DrawPairs();
  }

  void SetPair(int i, int32_t triangle, int row, int column, Pairs* __restrict pairs) const {
    const int32_t* corner = mesh_.triangles + 3 * int64_t{triangle};
    std::memcpy(pairs->clip[0] + 4 * i, mesh_.clip_vertices + 4 * int64_t{corner[0]},
                4 * sizeof(float));
    std::memcpy(pairs->clip[1] + 4 * i, mesh_.clip_vertices + 4 * int64_t{corner[1]},
                4 * sizeof(float));
    std::memcpy(pairs->clip[2] + 4 * i, mesh_.clip_vertices + 4 * int64_t{corner[2]},
                4 * sizeof(float));
    pairs->px[i] = column_centers_[column];
    pairs->py[i] = row_centers_[row];
    pairs->triangle[i] = triangle;
    pairs->pixel[i] = row * image_.width + column;
  }

  NEVER_INLINE void DrawPairs() {
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
                 v2[j], v2[j + 1], v2[j + 2], v2[j + 3]},
                px[i], py[i], i, fragments);
    }
    KeepNearest(pairs_.triangle, 1, pairs_.pixel, count);
    pairs_.count = 0;
  }

  // Draws a triangle of any size and position at the pixels of a box, ends inclusive.
  NEVER_INLINE void DrawBox(int32_t triangle, int left, int right, int top, int bottom) {
    // 1. Fetch the vertices; skip triangles that are not finite or are behind the camera.
    Homogeneous t;
    for (int k = 0; k < 3; ++k) {
      const float* vertex =
          mesh_.clip_vertices + 4 * int64_t{mesh_.triangles[3 * int64_t{triangle} + k]};
      for (int i = 0; i < 4; ++i) {
        if (!std::isfinite(vertex[i])) return;
      }
      std::memcpy(&t.x0 + 4 * k, vertex, 4 * sizeof(float));
    }
    if (t.w0 <= 0 && t.w1 <= 0 && t.w2 <= 0) return;

    // 2. Collect pixels, and draw them in blocks.
    for (int row = top; row <= bottom; ++row) {
      for (int column = left; column <= right;) {
        const int added = std::min(right - column + 1, kBlock - pixels_.count);
        AddPixels(row, column, added);
        column += added;
        if (pixels_.count == kBlock) DrawPixels(triangle, t);
      }
    }
    DrawPixels(triangle, t);
  }

  // Writes whole SIMD vectors; surplus lanes are overwritten by the next call.
  void AddPixels(int row, int column, int count) {
    const IntLanes lane = {0, 1, 2, 3, 4, 5, 6, 7};
    const FloatLanes y = FloatLanes{} + row_centers_[row];
    for (int first = 0; first < count; first += kLanes) {
      const int at = pixels_.count + first;
      const IntLanes pixel = lane + (row * image_.width + column + first);
      std::memcpy(pixels_.pixel + at, &pixel, sizeof(pixel));
      std::memcpy(pixels_.px + at, column_centers_.data() + column + first, sizeof(y));
      std::memcpy(pixels_.py + at, &y, sizeof(y));
    }
    pixels_.count += count;
  }

  NEVER_INLINE void DrawPixels(int32_t number, const Homogeneous& vertices) {
    const Homogeneous triangle = vertices;  // the compiler knows that a copy does not change
    const float* __restrict px = pixels_.px;
    const float* __restrict py = pixels_.py;
    Fragments* __restrict fragments = &fragments_;
    const int count = pixels_.count;

    // Whole vectors, because counts are small; surplus results are ignored.
    for (int first = 0; first < count; first += 2 * kLanes) {
      for (int i = first; i < first + 2 * kLanes; ++i) {
        TestPixel(triangle, px[i], py[i], i, fragments);
      }
    }
    KeepNearest(&number, 0, pixels_.pixel, count);
    pixels_.count = 0;
  }

  // Keeps the nearest triangle of each pixel; of equally near ones, the last.
  NEVER_INLINE void KeepNearest(const int32_t* triangles, int stride, const int32_t* pixels,
                                int count) {
    int32_t covered[kBlock];
    int covered_count = 0;
    for (int i = 0; i < count; ++i) {
      covered[covered_count] = i;
      covered_count += fragments_.covered[i];
    }

    for (int k = 0; k < covered_count; ++k) {
      const int i = covered[k];
      const int64_t pixel = pixels[i];
      const int32_t triangle = triangles[stride * i];
      if (mesh_.layers) {
        const uint8_t layers = mesh_.layers[triangle];
        if (image_.front_mask && (layers & kFrontMask)) image_.front_mask[pixel] = 1;
        if (!(layers & kPicture)) continue;
      }

      const float depth = fragments_.depth[i], nearest = image_.z_buffer[pixel];
      if (depth > nearest || (depth == nearest && triangle < image_.triangle_ids[pixel])) continue;

      image_.z_buffer[pixel] = depth;
      image_.triangle_ids[pixel] = triangle;
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
  const PixelArea area_;
  const std::vector<float> column_centers_, row_centers_;
  float corners_[3][2 * kBlock];
  Bounds bounds_;
  Pairs pairs_;
  Pixels pixels_;
  Fragments fragments_;
};

}  // namespace

void RasterizeTriangles(const Mesh& mesh, int row_begin, int row_end, const Image& image) {
  if (row_begin < row_end) BandRasterizer(mesh, row_begin, row_end, image).Draw();
}

}  // namespace mesh_renderer
