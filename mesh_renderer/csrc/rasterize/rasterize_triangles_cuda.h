// The rasterizer, attribute interpolation and their gradients on a CUDA device;
// rasterize_triangles.h holds their contract. All pointers are the device's. Functions put work on
// `stream` and do not wait for it. Results do not depend on the order of threads, and pictures are
// identical to the CPU's bit for bit. Triangles and pixels with indices out of range are skipped.
#ifndef MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_CUDA_H_
#define MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_CUDA_H_

#include <cuda_runtime_api.h>

#include "rasterize/rasterize_triangles_passes.h"

namespace mesh_renderer {

// The workspace of `drawing` is placed by PlaceWorkspace.
cudaError_t RasterizeOnDevice(const Drawing& drawing, cudaStream_t stream);

// `sums` are 4 * batch * vertex_count sums, placed by PlaceSums.
cudaError_t RasterizeGradOnDevice(const DrawnBatch& drawn, const float* clip_vertices,
                                  const float* d_barycentrics, const FixedPointSums& sums,
                                  float* d_clip_vertices, cudaStream_t stream);

cudaError_t InterpolateOnDevice(const DrawnBatch& drawn, const float* attributes, int64_t channels,
                                float* image, cudaStream_t stream);

// `sums` are channels * batch * vertex_count sums, placed by PlaceSums.
cudaError_t InterpolateGradOnDevice(const DrawnBatch& drawn, const InterpolationGrad& gradient,
                                    const FixedPointSums& sums, cudaStream_t stream);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_CUDA_H_
