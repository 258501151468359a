// Runs the work of the GPU's threads one after the other, in an order that the caller chooses. The
// arithmetic and the order of passes are the GPU's own code; launches and memory are not.
#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "rasterize/rasterize_triangles_passes.h"

namespace {

using mesh_renderer::Drawing;
using mesh_renderer::DrawnBatch;
using mesh_renderer::FixedPointSums;

// Runs a pass: in order if the seed is 0, else shuffled.
struct Loop {
  unsigned seed;

  template <typename Work>
  void operator()(int64_t count, const Work& work) const {
    std::vector<int64_t> order(count > 0 ? count : 0);
    for (int64_t i = 0; i < count; ++i) order[i] = i;
    if (seed) std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    for (const int64_t i : order) work(i);
  }
};

// Uninitialized memory: filled with arbitrary bits.
std::vector<uint64_t> Rubbish(int64_t bytes) {
  return std::vector<uint64_t>(bytes / 8 + 1, 0xdeadbeefcafef00du);
}

struct Sums {
  Sums(int64_t count, int64_t pixels) {
    FixedPointSums unused;
    memory = Rubbish(mesh_renderer::PlaceSums(nullptr, count, pixels, &unused));
    mesh_renderer::PlaceSums(reinterpret_cast<char*>(memory.data()), count, pixels, &sums);
  }

  std::vector<uint64_t> memory;
  FixedPointSums sums;
};

}  // namespace

extern "C" {

// Returns the number of triangles that went through the queue.
int64_t emulate_rasterize_triangles(unsigned seed, const float* clip_vertices,
                                    const int32_t* triangles, const uint8_t* layers, int64_t batch,
                                    int64_t vertex_count, int64_t triangle_count, int width,
                                    int height, float* barycentrics, int32_t* triangle_ids,
                                    float* z_buffer, float* mask, float* front_mask) {
  Drawing d = {};
  d.clip_vertices = clip_vertices;
  d.triangles = triangles;
  d.layers = layers;
  d.batch = batch;
  d.vertex_count = vertex_count;
  d.triangle_count = triangle_count;
  d.width = width;
  d.height = height;
  d.barycentrics = barycentrics;
  d.triangle_ids = triangle_ids;
  d.z_buffer = z_buffer;
  d.mask = mask;
  d.front_mask = front_mask;
  std::vector<uint64_t> memory = Rubbish(mesh_renderer::PlaceWorkspace(nullptr, &d));
  mesh_renderer::PlaceWorkspace(reinterpret_cast<char*>(memory.data()), &d);
  mesh_renderer::RasterizePasses(d, Loop{seed});
  return static_cast<int64_t>(*d.queue_length);
}

void emulate_rasterize_triangles_grad(unsigned seed, const float* clip_vertices,
                                      const int32_t* triangles, int64_t batch, int64_t vertex_count,
                                      int64_t triangle_count, int width, int height,
                                      const float* barycentrics, const int32_t* triangle_ids,
                                      const float* d_barycentrics, float* d_clip_vertices) {
  const DrawnBatch d = {triangles, batch,  vertex_count, triangle_count,
                        width,     height, barycentrics, triangle_ids};
  const Sums sums(4 * batch * vertex_count, d.pixels());
  mesh_renderer::RasterizeGradPasses(d, clip_vertices, d_barycentrics, sums.sums, d_clip_vertices,
                                     Loop{seed});
}

void emulate_interpolate_attributes(unsigned seed, const float* attributes, int64_t channels,
                                    const int32_t* triangles, int64_t batch, int64_t vertex_count,
                                    int64_t triangle_count, int width, int height,
                                    const float* barycentrics, const int32_t* triangle_ids,
                                    float* image) {
  const DrawnBatch d = {triangles, batch,  vertex_count, triangle_count,
                        width,     height, barycentrics, triangle_ids};
  mesh_renderer::InterpolatePasses(d, attributes, channels, image, Loop{seed});
}

void emulate_interpolate_attributes_grad(unsigned seed, const float* attributes, int64_t channels,
                                         const int32_t* triangles, int64_t batch,
                                         int64_t vertex_count, int64_t triangle_count, int width,
                                         int height, const float* barycentrics,
                                         const int32_t* triangle_ids, const float* d_image,
                                         float* d_attributes, float* d_barycentrics) {
  const DrawnBatch d = {triangles, batch,  vertex_count, triangle_count,
                        width,     height, barycentrics, triangle_ids};
  const Sums sums(channels * batch * vertex_count, d.pixels());
  mesh_renderer::InterpolateGradPasses(
      d, {attributes, channels, d_image, d_attributes, d_barycentrics}, sums.sums, Loop{seed});
}

// Adds up `addends` [count] as on the GPU.
float emulate_fixed_point_sum(unsigned seed, const float* addends, int64_t count) {
  const Sums sums(1, count);
  const FixedPointSums s = sums.sums;
  *s.largest = 0;
  *s.sums = 0;
  Loop{seed}(count, [&](int64_t i) { mesh_renderer::OfferAddend{s}(0, addends[i]); });
  Loop{seed + 1}(count, [&](int64_t i) { mesh_renderer::AddAddend{s}(0, addends[i]); });
  return mesh_renderer::RoundedSum(s, 0);
}

}  // extern "C"
