// The CUDA rasteriser for callers without C++ or TensorFlow (ctypes, checks, benchmarks).
//
// All pointers are the host's; shapes are those of rasterize_triangles_c.h. A call copies its inputs to the
// current device, works `repetitions` times (at least once), copies results back and frees everything: it is
// made for checking and timing, not for speed. milliseconds [repetitions], or null, receives what the
// kernels took each time, by the device's own clock and without copies. Functions return null, or a
// sentence that says what went wrong.
#ifndef MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_
#define MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_

#include <cstdint>

extern "C" {

// How many CUDA devices there are; 0 where there is no driver.
int mesh_renderer_cuda_device_count();

// Writes the name of the current device, cut off to `size` bytes with the final 0.
const char* mesh_renderer_cuda_device_name(char* name, int size);

const char* mesh_renderer_cuda_rasterize_triangles(const float* clip_vertices, const int32_t* triangles,
                                                   const uint8_t* layers, int64_t batch, int64_t vertex_count,
                                                   int64_t triangle_count, int width, int height, int repetitions,
                                                   float* milliseconds, float* barycentrics, int32_t* triangle_ids,
                                                   float* z_buffer, float* mask, float* front_mask);

const char* mesh_renderer_cuda_rasterize_triangles_grad(
    const float* clip_vertices, const int32_t* triangles, int64_t batch, int64_t vertex_count, int64_t triangle_count,
    int width, int height, int repetitions, float* milliseconds, const float* barycentrics,
    const int32_t* triangle_ids, const float* d_barycentrics, float* d_clip_vertices);

// attributes [B, N, C], image [B, H, W, C].
const char* mesh_renderer_cuda_interpolate_attributes(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch, int64_t vertex_count,
    int64_t triangle_count, int width, int height, int repetitions, float* milliseconds, const float* barycentrics,
    const int32_t* triangle_ids, float* image);

const char* mesh_renderer_cuda_interpolate_attributes_grad(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch, int64_t vertex_count,
    int64_t triangle_count, int width, int height, int repetitions, float* milliseconds, const float* barycentrics,
    const int32_t* triangle_ids, const float* d_image, float* d_attributes, float* d_barycentrics);

// Copies `bytes` bytes within the device: what its memory does at best is 2 * bytes / time.
const char* mesh_renderer_cuda_copy(int64_t bytes, int repetitions, float* milliseconds);

}  // extern "C"

#endif  // MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_C_H_
