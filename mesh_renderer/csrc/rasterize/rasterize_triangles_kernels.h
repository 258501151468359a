// The work of one thread of each GPU kernel of the rasterizer, in functions that also run on a CPU.
//
// Drawing takes four kernels. ClearItem clears the images. DrawTriangle tests a triangle at the
// pixels of its box and writes a key to each pixel it covers; the smallest key remains in any order
// of threads: the nearest triangle, of equally near ones the last. Triangles with larger boxes go
// into a queue, from which DrawQueued distributes each over many threads. ResolvePixel repeats the
// test of the triangle that remains. Coverage is decided by edge_functions.h, as on the CPU, within
// the published box.
#ifndef MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_KERNELS_H_
#define MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_KERNELS_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "rasterize/atomics.h"
#include "rasterize/edge_functions.h"
#include "rasterize/fixed_point_sum.h"
#include "rasterize/pixel_grid.h"
#include "rasterize/rasterize_triangles.h"

namespace mesh_renderer {

// A batch to draw. Pointers are the device's; arrays are densely packed, image after image.
struct Drawing {
  const float* clip_vertices;  // [batch, vertex_count, 4]
  const int32_t* triangles;  // [triangle_count, 3]; triangles with indices out of range are skipped
  const uint8_t* layers;     // [triangle_count], see Mesh, or null
  int64_t batch, vertex_count, triangle_count;
  int width, height;
  // Workspace.
  uint64_t* keys;          // [batch, height, width]
  int64_t* queue;          // [batch * triangle_count], image * triangle_count + triangle
  uint64_t* queue_length;  // [1]
  float *columns, *rows;   // [width], [height], pixel centers
  // Results, see Image; both masks may be null.
  float* barycentrics;
  int32_t* triangle_ids;
  float *z_buffer, *mask, *front_mask;

  HOST_DEVICE int64_t pixels() const { return int64_t{width} * height; }
};

constexpr uint64_t kEmpty = ~uint64_t{0};
constexpr int64_t kLargestOwnBox = 64;  // pixels that the thread of the triangle tests itself

// A rectangle of pixels, ends exclusive.
struct PixelBox {
  int left, right, top, bottom;

  HOST_DEVICE int64_t size() const {
    return left < right && top < bottom ? int64_t{right - left} * (bottom - top) : 0;
  }
};

HOST_DEVICE inline bool IsFinite(float value) { return fabsf(value) <= 3.402823466e38f; }

// Copies a triangle's vertices; false if an index is out of range.
HOST_DEVICE inline bool FetchTriangle(const Drawing& d, int64_t image, int64_t triangle,
                                      Homogeneous* t) {
  const int32_t* corner = d.triangles + 3 * triangle;
  const float* vertices = d.clip_vertices + 4 * d.vertex_count * image;
  float* out = &t->x0;
  for (int k = 0; k < 3; ++k) {
    if (corner[k] < 0 || corner[k] >= d.vertex_count) return false;
    const float* vertex = vertices + 4 * int64_t{corner[k]};
    for (int i = 0; i < 4; ++i) out[4 * k + i] = vertex[i];
  }
  return true;
}

HOST_DEVICE inline int ClampToInt(float value, int high) {
  return value <= 0 ? 0 : value >= high ? high : static_cast<int>(value);
}

HOST_DEVICE inline float Least(float a, float b, float c) { return fminf(fminf(a, b), c); }
HOST_DEVICE inline float Most(float a, float b, float c) { return fmaxf(fmaxf(a, b), c); }

// Returns the pixels at which to test a triangle: the published bounding box if all vertices are in
// front of the camera, else the whole image; no pixels for triangles that are not finite or behind
// the camera.
HOST_DEVICE inline PixelBox BoxOf(const Drawing& d, const Homogeneous& t) {
  const PixelBox none = {0, 0, 0, 0}, all = {0, d.width, 0, d.height};
  const float* v = &t.x0;
  for (int i = 0; i < 12; ++i) {
    if (!IsFinite(v[i])) return none;
  }
  if (t.w0 <= 0 && t.w1 <= 0 && t.w2 <= 0) return none;
  if (t.w0 <= 0 || t.w1 <= 0 || t.w2 <= 0) return all;

  const float scale_x = static_cast<float>(d.width), scale_y = static_cast<float>(d.height);
  const float x0 = (t.x0 / t.w0 + 1.0f) * 0.5f * scale_x;
  const float y0 = (-t.y0 / t.w0 + 1.0f) * 0.5f * scale_y;
  const float x1 = (t.x1 / t.w1 + 1.0f) * 0.5f * scale_x;
  const float y1 = (-t.y1 / t.w1 + 1.0f) * 0.5f * scale_y;
  const float x2 = (t.x2 / t.w2 + 1.0f) * 0.5f * scale_x;
  const float y2 = (-t.y2 / t.w2 + 1.0f) * 0.5f * scale_y;
  // For numbers so large, the bounds of the CPU's rasterizer do not hold either.
  if (!IsFinite((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))) return all;
  return {ClampToInt(floorf(Least(x0, x1, x2)), d.width),
          ClampToInt(ceilf(Most(x0, x1, x2)), d.width),
          ClampToInt(floorf(Least(y0, y1, y2)), d.height),
          ClampToInt(ceilf(Most(y0, y1, y2)), d.height)};
}

// Smaller for nearer triangles; of equally near triangles, smaller for later ones.
HOST_DEVICE inline uint64_t KeyOf(float depth, int64_t triangle) {
  const uint32_t bits = BitsOf(depth == 0 ? 0.0f : depth);  // 0 and -0 are equally near
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{ordered} << 32 | static_cast<uint32_t>(~static_cast<uint32_t>(triangle));
}

HOST_DEVICE inline int64_t TriangleOf(uint64_t key) {
  return static_cast<uint32_t>(~static_cast<uint32_t>(key));
}

// Tests a triangle at a pixel, and writes its key and its mask if it covers the pixel.
HOST_DEVICE inline void TestPixelOf(const Drawing& d, int64_t image, int64_t triangle,
                                    const Homogeneous& t, int row, int column) {
  const EdgeFunctions edges = EvaluateEdges(t, d.columns[column], d.rows[row]);
  if (!IsInside(edges)) return;
  const Fragment fragment = MakeFragment(t, edges);
  if (!fragment.visible) return;
  const int64_t pixel = d.pixels() * image + int64_t{d.width} * row + column;
  const uint8_t layers = d.layers ? d.layers[triangle] : static_cast<uint8_t>(kPicture);
  if (d.front_mask && (layers & kFrontMask)) d.front_mask[pixel] = 1;
  if (layers & kPicture) AtomicMin(d.keys + pixel, KeyOf(fragment.depth, triangle));
}

// Number of units of ClearItem.
HOST_DEVICE inline int64_t ClearedItems(const Drawing& d) {
  const int64_t pixels = d.batch * d.pixels(), lines = d.width > d.height ? d.width : d.height;
  return pixels > lines ? pixels : lines;
}

HOST_DEVICE inline void ClearItem(const Drawing& d, int64_t i) {
  if (i == 0) *d.queue_length = 0;
  if (i < d.width) d.columns[i] = PixelCenter(static_cast<int>(i), d.width);
  if (i < d.height) d.rows[i] = -PixelCenter(static_cast<int>(i), d.height);
  if (i >= d.batch * d.pixels()) return;
  d.keys[i] = kEmpty;
  if (d.front_mask) d.front_mask[i] = 0;
}

// `unit` is image * triangle_count + triangle.
HOST_DEVICE inline void DrawTriangle(const Drawing& d, int64_t unit) {
  const int64_t image = unit / d.triangle_count, triangle = unit % d.triangle_count;
  Homogeneous t;
  if (!FetchTriangle(d, image, triangle, &t)) return;
  const PixelBox box = BoxOf(d, t);
  if (box.size() > kLargestOwnBox) {
    d.queue[AtomicAdd(d.queue_length, 1)] = unit;
    return;
  }

  for (int row = box.top; row < box.bottom; ++row) {
    for (int column = box.left; column < box.right; ++column) {
      TestPixelOf(d, image, triangle, t, row, column);
    }
  }
}

// Tests the triangle at `position` of the queue at every `stride`-th pixel of its box, starting at
// `first`.
HOST_DEVICE inline void DrawQueued(const Drawing& d, int64_t position, int64_t first,
                                   int64_t stride) {
  const int64_t unit = d.queue[position];
  const int64_t image = unit / d.triangle_count, triangle = unit % d.triangle_count;
  Homogeneous t;
  if (!FetchTriangle(d, image, triangle, &t)) return;
  const PixelBox box = BoxOf(d, t);
  const int64_t width = box.right - box.left, size = box.size();
  for (int64_t i = first; i < size; i += stride) {
    TestPixelOf(d, image, triangle, t, box.top + static_cast<int>(i / width),
                box.left + static_cast<int>(i % width));
  }
}

// Writes the results of pixel `i` of the batch.
HOST_DEVICE inline void ResolvePixel(const Drawing& d, int64_t i) {
  const uint64_t key = d.keys[i];
  Fragment shown = {0, 0, 0, 0, 1};
  const int64_t triangle = key == kEmpty ? 0 : TriangleOf(key);

  if (key != kEmpty) {
    const int64_t pixel = i % d.pixels();
    Homogeneous t;
    FetchTriangle(d, i / d.pixels(), triangle, &t);
    shown = MakeFragment(t, EvaluateEdges(t, d.columns[pixel % d.width], d.rows[pixel / d.width]));
  }

  d.barycentrics[3 * i] = shown.b0;
  d.barycentrics[3 * i + 1] = shown.b1;
  d.barycentrics[3 * i + 2] = shown.b2;
  d.triangle_ids[i] = static_cast<int32_t>(triangle);
  d.z_buffer[i] = shown.depth;
  if (d.mask) d.mask[i] = key == kEmpty ? 0 : 1;
}

// A batch that has been drawn: the input of interpolation and of the gradients.
struct DrawnBatch {
  const int32_t* triangles;  // [triangle_count, 3]
  int64_t batch, vertex_count, triangle_count;
  int width, height;
  const float* barycentrics;    // [batch, height, width, 3]
  const int32_t* triangle_ids;  // [batch, height, width]; pixels with invalid indices are empty

  HOST_DEVICE int64_t pixels() const { return int64_t{width} * height; }
};

// Finds the vertices, as rows of the batch, of the triangle at pixel `i`; false for empty pixels.
HOST_DEVICE inline bool FetchCorners(const DrawnBatch& d, int64_t i, int64_t corners[3]) {
  const float* b = d.barycentrics + 3 * i;
  const int64_t triangle = d.triangle_ids[i];
  if (b[0] + b[1] + b[2] <= 0 || triangle < 0 || triangle >= d.triangle_count) return false;
  for (int k = 0; k < 3; ++k) {
    const int64_t corner = d.triangles[3 * triangle + k];
    if (corner < 0 || corner >= d.vertex_count) return false;
    corners[k] = d.vertex_count * (i / d.pixels()) + corner;
  }
  return true;
}

// Adds the contribution of pixel `i` to the gradient [batch, vertex_count, 4] of the vertices, by
// add(index, addend).
template <typename Add>
HOST_DEVICE inline void RasterizeGradPixel(const DrawnBatch& d, const float* clip_vertices,
                                           const float* d_barycentrics, const Add& add, int64_t i) {
  const float* d_b = d_barycentrics + 3 * i;
  int64_t corners[3];
  if ((d_b[0] == 0 && d_b[1] == 0 && d_b[2] == 0) || !FetchCorners(d, i, corners)) return;
  const float* const vertices[3] = {clip_vertices + 4 * corners[0], clip_vertices + 4 * corners[1],
                                    clip_vertices + 4 * corners[2]};
  const int64_t pixel = i % d.pixels();
  TriangleGradient gradient;
  if (!DifferentiatePixel(vertices, PixelCenter(static_cast<int>(pixel % d.width), d.width),
                          -PixelCenter(static_cast<int>(pixel / d.width), d.height),
                          d.barycentrics + 3 * i, d_b, &gradient)) {
    return;
  }

  for (int k = 0; k < 3; ++k) {
    add(4 * corners[k], gradient.by[k][0]);
    add(4 * corners[k] + 1, gradient.by[k][1]);
    add(4 * corners[k] + 3, gradient.by[k][2]);
  }
}

// Writes pixel `i` of image [batch, height, width, channels].
HOST_DEVICE inline void InterpolatePixel(const DrawnBatch& d, const float* attributes,
                                         int64_t channels, float* image, int64_t i) {
  const float* b = d.barycentrics + 3 * i;
  float* out = image + channels * i;
  int64_t corners[3];
  const bool covered = FetchCorners(d, i, corners);
  for (int64_t c = 0; c < channels; ++c) {
    out[c] = covered ? b[0] * attributes[channels * corners[0] + c] +
                           b[1] * attributes[channels * corners[1] + c] +
                           b[2] * attributes[channels * corners[2] + c]
                     : 0;
  }
}

// Writes the gradient by the barycentric coordinates of pixel `i`.
HOST_DEVICE inline void InterpolateGradBarycentrics(const DrawnBatch& d, const float* attributes,
                                                    int64_t channels, const float* d_image,
                                                    float* d_barycentrics, int64_t i) {
  const float* d_pixel = d_image + channels * i;
  float* d_b = d_barycentrics + 3 * i;
  int64_t corners[3];
  bool any = false;
  for (int64_t c = 0; c < channels; ++c) any |= d_pixel[c] != 0;
  const bool covered = any && FetchCorners(d, i, corners);
  for (int k = 0; k < 3; ++k) {
    float sum = 0;
    for (int64_t c = 0; covered && c < channels; ++c) {
      sum += d_pixel[c] * attributes[channels * corners[k] + c];
    }
    d_b[k] = sum;
  }
}

// Adds the contribution of pixel `i` to the gradient [batch, vertex_count, channels] of the
// attributes.
template <typename Add>
HOST_DEVICE inline void InterpolateGradPixel(const DrawnBatch& d, int64_t channels,
                                             const float* d_image, const Add& add, int64_t i) {
  const float* b = d.barycentrics + 3 * i;
  const float* d_pixel = d_image + channels * i;
  int64_t corners[3];
  bool any = false;
  for (int64_t c = 0; c < channels; ++c) any |= d_pixel[c] != 0;
  if (!any || !FetchCorners(d, i, corners)) return;
  for (int k = 0; k < 3; ++k) {
    for (int64_t c = 0; c < channels; ++c) add(channels * corners[k] + c, d_pixel[c] * b[k]);
  }
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_KERNELS_H_
