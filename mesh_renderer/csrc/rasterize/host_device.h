// Attributes of functions that both the CPU's compiler and nvcc compile, with identical results.
#ifndef MESH_RENDERER_RASTERIZE_HOST_DEVICE_H_
#define MESH_RENDERER_RASTERIZE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif

// A call inside a loop prevents vectorization.
#define ALWAYS_INLINE __attribute__((always_inline))
// If inlined into one function, the phases of the rasterizer are no longer vectorized.
#define NEVER_INLINE __attribute__((noinline))

#endif  // MESH_RENDERER_RASTERIZE_HOST_DEVICE_H_
