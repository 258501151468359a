#include "c_interface/rasterize_triangles_c.h"

#include <algorithm>
#include <atomic>

#include "c_interface/worker_pool.h"
#include "rasterize/rasterize_triangles.h"

int mesh_renderer_rasterize_triangles(const float* clip_vertices, const int32_t* triangles,
                                      const uint8_t* layers, int64_t batch, int64_t vertex_count,
                                      int64_t triangle_count, int width, int height, int threads,
                                      float* barycentrics, int32_t* triangle_ids, float* z_buffer,
                                      float* mask, float* front_mask) {
  for (int64_t i = 0; i < 3 * triangle_count; ++i) {
    if (triangles[i] < 0 || triangles[i] >= vertex_count) return 1;
  }

  // Threads take the next image until none is left.
  const int64_t pixels = int64_t{width} * height;
  std::atomic<int64_t> next(0);
  const auto draw_images = [&] {
    for (int64_t i = next++; i < batch; i = next++) {
      const mesh_renderer::Mesh mesh = {clip_vertices + 4 * vertex_count * i, triangles, layers,
                                        vertex_count, triangle_count};
      const mesh_renderer::Image image = {width,
                                          height,
                                          barycentrics + 3 * pixels * i,
                                          triangle_ids + pixels * i,
                                          z_buffer + pixels * i,
                                          mask ? mask + pixels * i : nullptr,
                                          front_mask ? front_mask + pixels * i : nullptr};
      mesh_renderer::RasterizeTriangles(mesh, 0, height, image);
    }
  };
  const int thread_count = static_cast<int>(std::min<int64_t>(threads, batch));
  mesh_renderer::WorkerPool::OfProcess().Run(thread_count, draw_images);
  return 0;
}
