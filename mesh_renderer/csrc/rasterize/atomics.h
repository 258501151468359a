// Atomic operations of the GPU's threads. On the CPU they are not atomic: there the tests run the
// work of all threads one after the other.
#ifndef MESH_RENDERER_RASTERIZE_ATOMICS_H_
#define MESH_RENDERER_RASTERIZE_ATOMICS_H_

#include <cstdint>

#include "rasterize/host_device.h"

namespace mesh_renderer {

HOST_DEVICE inline void AtomicMin(uint64_t* at, uint64_t value) {
#ifdef __CUDA_ARCH__
  atomicMin(reinterpret_cast<unsigned long long*>(at), static_cast<unsigned long long>(value));
#else
  if (value < *at) *at = value;
#endif
}

HOST_DEVICE inline void AtomicMax(uint32_t* at, uint32_t value) {
#ifdef __CUDA_ARCH__
  atomicMax(at, value);
#else
  if (value > *at) *at = value;
#endif
}

// Returns the previous value.
HOST_DEVICE inline uint64_t AtomicAdd(uint64_t* at, uint64_t value) {
#ifdef __CUDA_ARCH__
  return atomicAdd(reinterpret_cast<unsigned long long*>(at),
                   static_cast<unsigned long long>(value));
#else
  const uint64_t before = *at;
  *at += value;
  return before;
#endif
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_ATOMICS_H_
