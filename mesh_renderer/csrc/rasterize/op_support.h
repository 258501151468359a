// Shared by the TensorFlow operations: checks of inputs, and loops over TensorFlow's threads.
// Compiles against TensorFlow 1.12 and 2.x.
#ifndef MESH_RENDERER_RASTERIZE_OP_SUPPORT_H_
#define MESH_RENDERER_RASTERIZE_OP_SUPPORT_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>

#include "rasterize/rasterize_triangles.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace mesh_renderer {

using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using Status = tensorflow::Status;
namespace errors = tensorflow::errors;

// Status::OK() was removed in TensorFlow 2.14; all versions have a default-constructed status.
inline Status Ok() { return Status(); }

inline int ThreadCount(OpKernelContext* context) {
  return context->device()->tensorflow_cpu_worker_threads()->workers->NumThreads();
}

// A shared work queue: each thread takes the next unit; late threads return at once.
template <typename Work>
class SharedWork {
 public:
  SharedWork(int64_t total, const Work& work) : total_(total), work_(work) {}

  void TakeUnits() {
    for (int64_t unit = next_++; unit < total_; unit = next_++) {
      work_(unit);
      std::lock_guard<std::mutex> lock(mutex_);
      if (++finished_ == total_) all_finished_.notify_all();
    }
  }

  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_finished_.wait(lock, [this] { return finished_ == total_; });
  }

 private:
  const int64_t total_;
  const Work& work_;  // lives until the waiting caller returns, after all units
  std::atomic<int64_t> next_{0};
  std::mutex mutex_;
  std::condition_variable all_finished_;
  int64_t finished_ = 0;
};

// Runs work(unit) for every unit in [0, total) on the operation's own threads and on this one.
//
// ThreadPool::ParallelFor takes a std::function with parameters, for which TensorFlow 1.12's
// compiler (GCC 4.8) and today's have different calling conventions. One without parameters is
// safe.
template <typename Work>
void ParallelFor(OpKernelContext* context, int64_t total, const Work& work) {
  auto shared = std::make_shared<SharedWork<Work>>(total, work);
  for (int64_t i = 1; i < total && i < ThreadCount(context); ++i) {
    context->device()->tensorflow_cpu_worker_threads()->workers->Schedule(
        [shared] { shared->TakeUnits(); });
  }
  shared->TakeUnits();
  if (total > 0) shared->Wait();
}

// The checked inputs of a batch of meshes.
struct Geometry {
  const Tensor* clip_vertices = nullptr;
  const Tensor* triangles = nullptr;
  int64_t batch = 0;
  int64_t vertex_count = 0;
  int64_t triangle_count = 0;

  Mesh OfImage(int64_t image, const uint8_t* layers = nullptr) const {
    const float* vertices =
        clip_vertices ? clip_vertices->flat<float>().data() + 4 * vertex_count * image : nullptr;
    return {vertices, triangles->flat<int32_t>().data(), layers, vertex_count, triangle_count};
  }
};

// The memory of an operation's inputs. Reading a GPU's memory would mean waiting for the GPU: there
// only shapes are checked, and the kernels skip indices out of range.
enum class Memory { kHost, kDevice };

inline Status CheckTriangles(const Tensor& triangles, int64_t vertex_count,
                             Memory memory = Memory::kHost) {
  if (triangles.dims() != 2 || triangles.dim_size(1) != 3) {
    return errors::InvalidArgument("triangles must have shape [F, 3], got ",
                                   triangles.shape().DebugString());
  }
  if (triangles.dim_size(0) > std::numeric_limits<int32_t>::max()) {
    return errors::InvalidArgument("more triangles than int32 can count: ", triangles.dim_size(0));
  }
  if (memory == Memory::kDevice) return Ok();

  // An unsigned comparison catches negative indices too; the loop without exit is a vector loop.
  const auto flat = triangles.flat<int32_t>();
  uint32_t largest = 0;
  for (int64_t i = 0; i < flat.size(); ++i) {
    const uint32_t index = static_cast<uint32_t>(flat.data()[i]);
    largest = index > largest ? index : largest;
  }
  if (flat.size() > 0 && largest >= vertex_count) {
    return errors::InvalidArgument("triangles must index vertices 0 to ", vertex_count - 1,
                                   ", got ", static_cast<int32_t>(largest));
  }
  return Ok();
}

inline Status CheckGeometry(const Tensor& clip_vertices, const Tensor& triangles, Memory memory,
                            Geometry* geometry) {
  if (clip_vertices.dims() != 3 || clip_vertices.dim_size(2) != 4) {
    return errors::InvalidArgument("clip_vertices must have shape [B, N, 4], got ",
                                   clip_vertices.shape().DebugString());
  }
  geometry->clip_vertices = &clip_vertices;
  geometry->triangles = &triangles;
  geometry->batch = clip_vertices.dim_size(0);
  geometry->vertex_count = clip_vertices.dim_size(1);
  geometry->triangle_count = triangles.dims() > 0 ? triangles.dim_size(0) : 0;
  return CheckTriangles(triangles, geometry->vertex_count, memory);
}

// The checked outputs of RasterizeTriangles.
struct Pixels {
  const Tensor* triangle_ids = nullptr;
  const Tensor* barycentrics = nullptr;
  int64_t per_image = 0;
  int64_t height = 0, width = 0;

  Visibility OfImage(int64_t image) const {
    return {per_image, barycentrics->flat<float>().data() + 3 * per_image * image,
            triangle_ids->flat<int32_t>().data() + per_image * image};
  }
};

// Checks the outputs of RasterizeTriangles against the batch and the number of triangles.
inline Status CheckPixels(const Tensor& triangle_ids, const Tensor& barycentrics, int64_t batch,
                          int64_t triangle_count, Memory memory, Pixels* pixels) {
  if (triangle_ids.dims() != 3 || triangle_ids.dim_size(0) != batch) {
    return errors::InvalidArgument("triangle_ids must have shape [", batch, ", H, W], got ",
                                   triangle_ids.shape().DebugString());
  }
  TensorShape expected = triangle_ids.shape();
  expected.AddDim(3);
  if (barycentrics.shape() != expected) {
    return errors::InvalidArgument("barycentric_coordinates must have shape ",
                                   expected.DebugString(), ", got ",
                                   barycentrics.shape().DebugString());
  }

  pixels->triangle_ids = &triangle_ids;
  pixels->barycentrics = &barycentrics;
  pixels->height = triangle_ids.dim_size(1);
  pixels->width = triangle_ids.dim_size(2);
  pixels->per_image = pixels->height * pixels->width;
  if (memory == Memory::kDevice) return Ok();

  // Without triangles, every pixel is empty, and its id 0 is not used.
  const uint32_t limit = static_cast<uint32_t>(triangle_count > 0 ? triangle_count : 1);
  const auto ids = triangle_ids.flat<int32_t>();
  uint32_t largest = 0;
  for (int64_t i = 0; i < ids.size(); ++i) {
    const uint32_t id = static_cast<uint32_t>(ids.data()[i]);
    largest = id > largest ? id : largest;
  }
  if (largest >= limit) {
    return errors::InvalidArgument("triangle_ids must lie in [0, ", limit, "), got ",
                                   static_cast<int32_t>(largest));
  }

  if (triangle_count == 0) {
    const auto b = barycentrics.flat<float>();
    for (int64_t i = 0; i < b.size(); ++i) {
      if (b.data()[i] != 0) {
        return errors::InvalidArgument("pixels are covered, but there are no triangles");
      }
    }
  }
  return Ok();
}

// Returns the number of bands into which each image should be cut, so that no thread is idle.
inline int64_t BandsPerImage(OpKernelContext* context, int64_t batch, int64_t rows) {
  const int64_t threads = ThreadCount(context);
  const int64_t wanted = batch > 0 ? (threads + batch - 1) / batch : 1;
  return wanted < rows ? wanted : (rows > 0 ? rows : 1);
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_OP_SUPPORT_H_
