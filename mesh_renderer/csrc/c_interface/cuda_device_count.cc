// The number of CUDA devices, by the CUDA runtime that the kernels are linked with.
#include <cuda_runtime_api.h>

extern "C" {

// Returns 0 without a driver, or if the driver is too old for the runtime.
int mesh_renderer_cuda_device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

}  // extern "C"
