// Functions that the processor's compiler and nvcc both compile, so that both devices compute the same.
#ifndef MESH_RENDERER_HOST_DEVICE_H_
#define MESH_RENDERER_HOST_DEVICE_H_

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif

// A call inside a loop would keep it from becoming vector code.
#define ALWAYS_INLINE __attribute__((always_inline))
// Merged into one function, the phases of the rasteriser lose their vector code as well.
#define NEVER_INLINE __attribute__((noinline))

#endif  // MESH_RENDERER_HOST_DEVICE_H_
