// The rasteriser, attribute interpolation and their gradients on a CUDA device; rasterize_triangles.h is
// their contract. All pointers are the device's. Work is put on `stream` and not waited for. Results do not
// depend on the order of threads, and pictures are those of the processor bit for bit. Indices of vertices
// and of triangles that do not exist are harmless: what has them is not drawn.
#ifndef MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_H_
#define MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_H_

#include <cuda_runtime_api.h>

#include "rasterize_triangles_passes.h"

namespace mesh_renderer {

// `drawing` with its working memory placed by PlaceWorkspace.
cudaError_t RasterizeOnDevice(const Drawing& drawing, cudaStream_t stream);

// `sums` placed by PlaceSums: 4 * batch * vertex_count of them.
cudaError_t RasterizeGradOnDevice(const DrawnBatch& drawn, const float* clip_vertices, const float* d_barycentrics,
                                  const FixedPointSums& sums, float* d_clip_vertices, cudaStream_t stream);

cudaError_t InterpolateOnDevice(const DrawnBatch& drawn, const float* attributes, int64_t channels, float* image,
                                cudaStream_t stream);

// `sums` placed by PlaceSums: channels * batch * vertex_count of them.
cudaError_t InterpolateGradOnDevice(const DrawnBatch& drawn, const InterpolationGrad& gradient,
                                    const FixedPointSums& sums, cudaStream_t stream);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_TRIANGLES_CUDA_H_
