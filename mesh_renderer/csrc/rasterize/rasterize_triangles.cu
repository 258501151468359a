// The passes of rasterize_triangles_passes.h as CUDA kernels.
#include "rasterize/rasterize_triangles_cuda.h"

namespace mesh_renderer {
namespace {

constexpr int kThreadsPerBlock = 256;
constexpr int64_t kMostBlocks = 1 << 20;  // with more work, each thread does several units

template <typename Work>
__global__ void RunPass(int64_t count, const Work work) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) work(i);
}

// Runs a pass as a kernel; kernels on one stream run one after the other.
struct LaunchOn {
  cudaStream_t stream;

  template <typename Work>
  void operator()(int64_t count, const Work& work) const {
    if (count <= 0) return;  // a grid without blocks is an error
    const int64_t blocks = (count + kThreadsPerBlock - 1) / kThreadsPerBlock;
    RunPass<<<static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks), kThreadsPerBlock,
              0, stream>>>(count, work);
  }
};

}  // namespace

cudaError_t RasterizeOnDevice(const Drawing& drawing, cudaStream_t stream) {
  RasterizePasses(drawing, LaunchOn{stream});
  return cudaGetLastError();
}

cudaError_t RasterizeGradOnDevice(const DrawnBatch& drawn, const float* clip_vertices,
                                  const float* d_barycentrics, const FixedPointSums& sums,
                                  float* d_clip_vertices, cudaStream_t stream) {
  RasterizeGradPasses(drawn, clip_vertices, d_barycentrics, sums, d_clip_vertices,
                      LaunchOn{stream});
  return cudaGetLastError();
}

cudaError_t InterpolateOnDevice(const DrawnBatch& drawn, const float* attributes, int64_t channels,
                                float* image, cudaStream_t stream) {
  InterpolatePasses(drawn, attributes, channels, image, LaunchOn{stream});
  return cudaGetLastError();
}

cudaError_t InterpolateGradOnDevice(const DrawnBatch& drawn, const InterpolationGrad& gradient,
                                    const FixedPointSums& sums, cudaStream_t stream) {
  InterpolateGradPasses(drawn, gradient, sums, LaunchOn{stream});
  return cudaGetLastError();
}

}  // namespace mesh_renderer
