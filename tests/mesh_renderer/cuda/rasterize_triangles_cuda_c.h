// C interface of the CUDA rasterizer, for tests and benchmarks through ctypes.
//
// All pointers are the host's; shapes are those of rasterize_triangles_c.h. A call copies its
// inputs to the current device, runs the kernels `repetitions` times (at least once), copies the
// results back and frees its memory: not for production. milliseconds [repetitions], or null,
// receives the durations of the kernels, by the device's clock and without copies. Functions return
// null, or a message of the error.
#ifndef MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_
#define MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_

#include <cstdint>

extern "C" {

// Writes the name of the current device, truncated to `size` bytes with the final 0.
const char* mesh_renderer_cuda_device_name(char* name, int size);

const char* mesh_renderer_cuda_rasterize_triangles(const float* clip_vertices,
                                                   const int32_t* triangles, const uint8_t* layers,
                                                   int64_t batch, int64_t vertex_count,
                                                   int64_t triangle_count, int width, int height,
                                                   int repetitions, float* milliseconds,
                                                   float* barycentrics, int32_t* triangle_ids,
                                                   float* z_buffer, float* mask, float* front_mask);

const char* mesh_renderer_cuda_rasterize_triangles_grad(
    const float* clip_vertices, const int32_t* triangles, int64_t batch, int64_t vertex_count,
    int64_t triangle_count, int width, int height, int repetitions, float* milliseconds,
    const float* barycentrics, const int32_t* triangle_ids, const float* d_barycentrics,
    float* d_clip_vertices);

// attributes [B, N, C], image [B, H, W, C].
const char* mesh_renderer_cuda_interpolate_attributes(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch,
    int64_t vertex_count, int64_t triangle_count, int width, int height, int repetitions,
    float* milliseconds, const float* barycentrics, const int32_t* triangle_ids, float* image);

const char* mesh_renderer_cuda_interpolate_attributes_grad(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch,
    int64_t vertex_count, int64_t triangle_count, int width, int height, int repetitions,
    float* milliseconds, const float* barycentrics, const int32_t* triangle_ids,
    const float* d_image, float* d_attributes, float* d_barycentrics);

// Copies `bytes` bytes within the device; the bandwidth of its memory is 2 * bytes / time.
const char* mesh_renderer_cuda_copy(int64_t bytes, int repetitions, float* milliseconds);

}  // extern "C"

#endif  // MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_
