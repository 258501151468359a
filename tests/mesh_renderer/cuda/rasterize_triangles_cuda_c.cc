#include "rasterize_triangles_cuda_c.h"

#include <cuda_runtime_api.h>

#include <cstring>
#include <vector>

#include "rasterize/rasterize_triangles_cuda.h"

namespace mesh_renderer {
namespace {

// The device memory of one call, and its first error. After an error, nothing more is done.
class DeviceCall {
 public:
  DeviceCall() = default;
  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

  ~DeviceCall() {
    for (void* memory : memory_) cudaFree(memory);
  }

  template <typename T>
  T* Allocate(int64_t count) {
    void* memory = nullptr;
    if (Try(cudaMalloc(&memory, sizeof(T) * (count > 0 ? count : 1)))) memory_.push_back(memory);
    return static_cast<T*>(memory);
  }

  // Null stays null.
  template <typename T>
  const T* Upload(const T* host, int64_t count) {
    if (!host) return nullptr;
    T* memory = Allocate<T>(count);
    if (memory) Try(cudaMemcpy(memory, host, sizeof(T) * count, cudaMemcpyHostToDevice));
    return memory;
  }

  template <typename T>
  void Download(const T* device, int64_t count, T* host) {
    if (host && device && !error_) {
      Try(cudaMemcpy(host, device, sizeof(T) * count, cudaMemcpyDeviceToHost));
    }
  }

  // Runs work(), which returns a cudaError_t, and writes the durations on the device.
  template <typename Work>
  void Repeat(int repetitions, float* milliseconds, const Work& work) {
    cudaEvent_t begin = nullptr, end = nullptr;
    if (!error_ && Try(cudaEventCreate(&begin)) && Try(cudaEventCreate(&end))) {
      for (int i = 0; i < repetitions && !error_; ++i) {
        float elapsed = 0;
        Try(cudaEventRecord(begin)) && Try(work()) && Try(cudaEventRecord(end)) &&
            Try(cudaEventSynchronize(end)) && Try(cudaEventElapsedTime(&elapsed, begin, end));
        if (milliseconds) milliseconds[i] = elapsed;
      }
    }
    if (begin) cudaEventDestroy(begin);
    if (end) cudaEventDestroy(end);
  }

  const char* error() const { return error_; }

 private:
  bool Try(cudaError_t status) {
    if (status != cudaSuccess && !error_) error_ = cudaGetErrorString(status);
    return status == cudaSuccess;
  }

  std::vector<void*> memory_;
  const char* error_ = nullptr;
};

FixedPointSums AllocateSums(DeviceCall* call, int64_t count, int64_t pixels) {
  FixedPointSums sums;
  PlaceSums(call->Allocate<char>(PlaceSums(nullptr, count, pixels, &sums)), count, pixels, &sums);
  return sums;
}

}  // namespace
}  // namespace mesh_renderer

using mesh_renderer::DeviceCall;
using mesh_renderer::DrawnBatch;

const char* mesh_renderer_cuda_device_name(char* name, int size) {
  int device = 0;
  cudaDeviceProp properties;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  std::strncpy(name, properties.name, size - 1);
  name[size - 1] = 0;
  return nullptr;
}

const char* mesh_renderer_cuda_rasterize_triangles(
    const float* clip_vertices, const int32_t* triangles, const uint8_t* layers, int64_t batch,
    int64_t vertex_count, int64_t triangle_count, int width, int height, int repetitions,
    float* milliseconds, float* barycentrics, int32_t* triangle_ids, float* z_buffer, float* mask,
    float* front_mask) {
  // 1. Inputs.
  DeviceCall call;
  mesh_renderer::Drawing d = {};
  d.clip_vertices = call.Upload(clip_vertices, 4 * batch * vertex_count);
  d.triangles = call.Upload(triangles, 3 * triangle_count);
  d.layers = call.Upload(layers, triangle_count);
  d.batch = batch;
  d.vertex_count = vertex_count;
  d.triangle_count = triangle_count;
  d.width = width;
  d.height = height;

  // 2. Outputs and workspace.
  const int64_t pixels = batch * d.pixels();
  d.barycentrics = call.Allocate<float>(3 * pixels);
  d.triangle_ids = call.Allocate<int32_t>(pixels);
  d.z_buffer = call.Allocate<float>(pixels);
  if (mask) d.mask = call.Allocate<float>(pixels);
  if (front_mask) d.front_mask = call.Allocate<float>(pixels);
  PlaceWorkspace(call.Allocate<char>(PlaceWorkspace(nullptr, &d)), &d);

  // 3. Draw.
  call.Repeat(repetitions, milliseconds,
              [&] { return mesh_renderer::RasterizeOnDevice(d, nullptr); });
  call.Download(d.barycentrics, 3 * pixels, barycentrics);
  call.Download(d.triangle_ids, pixels, triangle_ids);
  call.Download(d.z_buffer, pixels, z_buffer);
  call.Download(d.mask, pixels, mask);
  call.Download(d.front_mask, pixels, front_mask);
  return call.error();
}

const char* mesh_renderer_cuda_rasterize_triangles_grad(
    const float* clip_vertices, const int32_t* triangles, int64_t batch, int64_t vertex_count,
    int64_t triangle_count, int width, int height, int repetitions, float* milliseconds,
    const float* barycentrics, const int32_t* triangle_ids, const float* d_barycentrics,
    float* d_clip_vertices) {
  DeviceCall call;
  const int64_t image = int64_t{width} * height, pixels = batch * image;
  const int64_t values = 4 * batch * vertex_count;
  const DrawnBatch drawn = {call.Upload(triangles, 3 * triangle_count),
                            batch,
                            vertex_count,
                            triangle_count,
                            width,
                            height,
                            call.Upload(barycentrics, 3 * pixels),
                            call.Upload(triangle_ids, pixels)};
  const float* vertices = call.Upload(clip_vertices, values);
  const float* d_b = call.Upload(d_barycentrics, 3 * pixels);
  float* d_vertices = call.Allocate<float>(values);
  const mesh_renderer::FixedPointSums sums = mesh_renderer::AllocateSums(&call, values, image);
  call.Repeat(repetitions, milliseconds, [&] {
    return mesh_renderer::RasterizeGradOnDevice(drawn, vertices, d_b, sums, d_vertices, nullptr);
  });
  call.Download(d_vertices, values, d_clip_vertices);
  return call.error();
}

const char* mesh_renderer_cuda_interpolate_attributes(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch,
    int64_t vertex_count, int64_t triangle_count, int width, int height, int repetitions,
    float* milliseconds, const float* barycentrics, const int32_t* triangle_ids, float* image) {
  DeviceCall call;
  const int64_t pixels = batch * width * height;
  const DrawnBatch drawn = {call.Upload(triangles, 3 * triangle_count),
                            batch,
                            vertex_count,
                            triangle_count,
                            width,
                            height,
                            call.Upload(barycentrics, 3 * pixels),
                            call.Upload(triangle_ids, pixels)};
  const float* values = call.Upload(attributes, channels * batch * vertex_count);
  float* out = call.Allocate<float>(channels * pixels);
  call.Repeat(repetitions, milliseconds, [&] {
    return mesh_renderer::InterpolateOnDevice(drawn, values, channels, out, nullptr);
  });
  call.Download(out, channels * pixels, image);
  return call.error();
}

const char* mesh_renderer_cuda_interpolate_attributes_grad(
    const float* attributes, int64_t channels, const int32_t* triangles, int64_t batch,
    int64_t vertex_count, int64_t triangle_count, int width, int height, int repetitions,
    float* milliseconds, const float* barycentrics, const int32_t* triangle_ids,
    const float* d_image, float* d_attributes, float* d_barycentrics) {
  DeviceCall call;
  const int64_t image = int64_t{width} * height, pixels = batch * image;
  const int64_t values = channels * batch * vertex_count;
  const DrawnBatch drawn = {call.Upload(triangles, 3 * triangle_count),
                            batch,
                            vertex_count,
                            triangle_count,
                            width,
                            height,
                            call.Upload(barycentrics, 3 * pixels),
                            call.Upload(triangle_ids, pixels)};
  const mesh_renderer::InterpolationGrad gradient = {
      call.Upload(attributes, values), channels, call.Upload(d_image, channels * pixels),
      call.Allocate<float>(values), call.Allocate<float>(3 * pixels)};
  const mesh_renderer::FixedPointSums sums = mesh_renderer::AllocateSums(&call, values, image);
  call.Repeat(repetitions, milliseconds, [&] {
    return mesh_renderer::InterpolateGradOnDevice(drawn, gradient, sums, nullptr);
  });
  call.Download(gradient.d_attributes, values, d_attributes);
  call.Download(gradient.d_barycentrics, 3 * pixels, d_barycentrics);
  return call.error();
}

const char* mesh_renderer_cuda_copy(int64_t bytes, int repetitions, float* milliseconds) {
  DeviceCall call;
  const char* from = call.Allocate<char>(bytes);
  char* to = call.Allocate<char>(bytes);
  call.Repeat(repetitions, milliseconds,
              [&] { return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr); });
  return call.error();
}
