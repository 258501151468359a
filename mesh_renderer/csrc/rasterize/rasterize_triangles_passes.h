// The order of the rasterizer's GPU kernels.
//
// Each pass is run(count, work): work(i) for every i in [0, count), in any order or in parallel,
// finished before the next pass starts. On a GPU a pass is a kernel; the tests run it as a loop.
#ifndef MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_PASSES_H_
#define MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_PASSES_H_

#include <cstdint>

#include "rasterize/rasterize_triangles_kernels.h"

namespace mesh_renderer {

// Threads that share a queued triangle, and queued triangles drawn at once: together the threads of
// a large GPU.
constexpr int64_t kLanes = 512, kTeams = 512;

struct ClearPass {
  Drawing d;
  HOST_DEVICE void operator()(int64_t i) const { ClearItem(d, i); }
};

struct DrawPass {
  Drawing d;
  HOST_DEVICE void operator()(int64_t i) const { DrawTriangle(d, i); }
};

struct QueuePass {
  Drawing d;
  HOST_DEVICE void operator()(int64_t i) const {
    const int64_t waiting = static_cast<int64_t>(*d.queue_length);
    for (int64_t position = i / kLanes; position < waiting; position += kTeams) {
      DrawQueued(d, position, i % kLanes, kLanes);
    }
  }
};

struct ResolvePass {
  Drawing d;
  HOST_DEVICE void operator()(int64_t i) const { ResolvePixel(d, i); }
};

template <typename Run>
void RasterizePasses(const Drawing& d, const Run& run) {
  run(ClearedItems(d), ClearPass{d});
  run(d.batch * d.triangle_count, DrawPass{d});
  run(kLanes * kTeams, QueuePass{d});
  run(d.batch * d.pixels(), ResolvePass{d});
}

// Places the workspace of RasterizePasses in `memory`, aligned to 8 bytes, and sets the pointers of
// `d`. Returns its size in bytes; null memory serves to query the size.
inline int64_t PlaceWorkspace(char* memory, Drawing* d) {
  const int64_t keys = d->batch * d->pixels(), queue = d->batch * d->triangle_count;
  d->keys = reinterpret_cast<uint64_t*>(memory);
  d->queue = reinterpret_cast<int64_t*>(d->keys + keys);
  d->queue_length = reinterpret_cast<uint64_t*>(d->queue + queue);
  d->columns = reinterpret_cast<float*>(d->queue_length + 1);
  d->rows = d->columns + d->width;
  return 8 * (keys + queue + 1) + 4 * (int64_t{d->width} + d->height);
}

struct ClearSumsPass {
  FixedPointSums sums;
  HOST_DEVICE void operator()(int64_t i) const { sums.largest[i] = 0, sums.sums[i] = 0; }
};

struct RoundSumsPass {
  FixedPointSums sums;
  float* out;
  HOST_DEVICE void operator()(int64_t i) const { out[i] = RoundedSum(sums, i); }
};

// Places `count` sums over the pixels of an image in `memory`, aligned to 8 bytes, and sets the
// fields of `sums`. Returns the size in bytes; null memory serves to query the size.
inline int64_t PlaceSums(char* memory, int64_t count, int64_t pixels, FixedPointSums* sums) {
  sums->sums = reinterpret_cast<uint64_t*>(memory);
  sums->largest = reinterpret_cast<uint32_t*>(sums->sums + count);
  // A pixel adds to a vertex up to three times: a triangle may have the same vertex three times.
  sums->headroom = 0;
  while ((int64_t{1} << sums->headroom) < 3 * pixels) ++sums->headroom;
  return 12 * count;
}

template <typename Add>
struct RasterizeGradPass {
  DrawnBatch d;
  const float *clip_vertices, *d_barycentrics;
  Add add;
  HOST_DEVICE void operator()(int64_t i) const {
    RasterizeGradPixel(d, clip_vertices, d_barycentrics, add, i);
  }
};

// Overwrites d_clip_vertices [batch, vertex_count, 4]; `sums` has the same count. See
// RasterizeTrianglesGrad.
template <typename Run>
void RasterizeGradPasses(const DrawnBatch& d, const float* clip_vertices,
                         const float* d_barycentrics, const FixedPointSums& sums,
                         float* d_clip_vertices, const Run& run) {
  const int64_t pixels = d.batch * d.pixels(), values = 4 * d.batch * d.vertex_count;
  run(values, ClearSumsPass{sums});
  run(pixels, RasterizeGradPass<OfferAddend>{d, clip_vertices, d_barycentrics, {sums}});
  run(pixels, RasterizeGradPass<AddAddend>{d, clip_vertices, d_barycentrics, {sums}});
  run(values, RoundSumsPass{sums, d_clip_vertices});
}

struct InterpolatePass {
  DrawnBatch d;
  const float* attributes;
  int64_t channels;
  float* image;
  HOST_DEVICE void operator()(int64_t i) const {
    InterpolatePixel(d, attributes, channels, image, i);
  }
};

// Writes image [batch, height, width, channels]; see InterpolateAttributes.
template <typename Run>
void InterpolatePasses(const DrawnBatch& d, const float* attributes, int64_t channels, float* image,
                       const Run& run) {
  run(d.batch * d.pixels(), InterpolatePass{d, attributes, channels, image});
}

// Inputs and outputs of InterpolateGradPasses.
struct InterpolationGrad {
  const float* attributes;  // [batch, vertex_count, channels]
  int64_t channels;
  const float* d_image;   // [batch, height, width, channels]
  float* d_attributes;    // [batch, vertex_count, channels]
  float* d_barycentrics;  // [batch, height, width, 3]
};

struct BarycentricsGradPass {
  DrawnBatch d;
  InterpolationGrad g;
  HOST_DEVICE void operator()(int64_t i) const {
    InterpolateGradBarycentrics(d, g.attributes, g.channels, g.d_image, g.d_barycentrics, i);
  }
};

template <typename Add>
struct AttributesGradPass {
  DrawnBatch d;
  InterpolationGrad g;
  Add add;
  HOST_DEVICE void operator()(int64_t i) const {
    InterpolateGradPixel(d, g.channels, g.d_image, add, i);
  }
};

// Overwrites both gradients; `sums` has the count of d_attributes.
template <typename Run>
void InterpolateGradPasses(const DrawnBatch& d, const InterpolationGrad& g,
                           const FixedPointSums& sums, const Run& run) {
  const int64_t pixels = d.batch * d.pixels(), values = g.channels * d.batch * d.vertex_count;
  run(values, ClearSumsPass{sums});
  run(pixels, AttributesGradPass<OfferAddend>{d, g, {sums}});
  run(pixels, AttributesGradPass<AddAddend>{d, g, {sums}});
  run(values, RoundSumsPass{sums, g.d_attributes});
  run(pixels, BarycentricsGradPass{d, g});
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_PASSES_H_
