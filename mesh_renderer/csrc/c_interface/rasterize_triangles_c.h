// C interface of the rasterizer's core, for callers without C++ or TensorFlow (ctypes). One call
// draws one batch; arrays are densely packed. Only vertex indices are checked.
#ifndef MESH_RENDERER_C_INTERFACE_RASTERIZE_TRIANGLES_C_H_
#define MESH_RENDERER_C_INTERFACE_RASTERIZE_TRIANGLES_C_H_

#include <cstdint>

extern "C" {

// Rasterizes `batch` images on `threads` threads (at least 1). Shapes, with B images, N vertices,
// F triangles: clip_vertices [B, N, 4], triangles [F, 3], layers [F] or null, barycentrics
// [B, H, W, 3], triangle_ids, z_buffer, mask and front_mask [B, H, W]; both masks may be null.
// Returns 0, or 1 if a triangle has a vertex index out of range (then nothing is drawn).
int mesh_renderer_rasterize_triangles(const float* clip_vertices, const int32_t* triangles,
                                      const uint8_t* layers, int64_t batch, int64_t vertex_count,
                                      int64_t triangle_count, int width, int height, int threads,
                                      float* barycentrics, int32_t* triangle_ids, float* z_buffer,
                                      float* mask, float* front_mask);

}  // extern "C"

#endif  // MESH_RENDERER_C_INTERFACE_RASTERIZE_TRIANGLES_C_H_
