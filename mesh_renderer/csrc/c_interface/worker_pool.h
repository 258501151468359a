// A pool of persistent threads. A new thread starts on the core of its creator, and work of a few
// milliseconds ends before the scheduler has moved it to another core.
#ifndef MESH_RENDERER_C_INTERFACE_WORKER_POOL_H_
#define MESH_RENDERER_C_INTERFACE_WORKER_POOL_H_

#include <unistd.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace mesh_renderer {

class WorkerPool {
 public:
  // The pool of this process. It is never destroyed: its threads sleep until the process ends.
  // Threads do not survive a fork, so a child process gets its own pool.
  static WorkerPool& OfProcess() {
    static std::mutex mutex;
    static WorkerPool* pool = nullptr;
    static pid_t owner = 0;
    std::lock_guard<std::mutex> lock(mutex);
    if (owner != getpid()) {
      pool = new WorkerPool;
      owner = getpid();
    }
    return *pool;
  }

  // Runs work() on this thread and on up to `threads` - 1 others at once; returns when all calls
  // have returned. While another thread of this process uses the pool, work() runs on this thread
  // alone: it must finish the whole work, however many times it is called.
  void Run(int threads, const std::function<void()>& work) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (threads <= 1 || !turn.owns_lock()) {
      work();
      return;
    }

    // Start missing helpers, and wake all.
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (; helpers_ < threads - 1; ++helpers_) std::thread([this] { Help(); }).detach();
      work_ = &work;
      wanted_ = threads - 1;
    }
    begin_.notify_all();
    work();

    // Helpers that have not started yet are no longer needed.
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;
    end_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void Help() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      begin_.wait(lock, [this] { return wanted_ > 0; });
      --wanted_;
      ++running_;
      const std::function<void()>* work = work_;
      lock.unlock();
      (*work)();
      lock.lock();
      if (--running_ == 0) end_.notify_all();
    }
  }

  std::mutex turn_;  // held during Run
  std::mutex mutex_;
  std::condition_variable begin_, end_;
  const std::function<void()>* work_ = nullptr;
  int helpers_ = 0, wanted_ = 0, running_ = 0;
};

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_C_INTERFACE_WORKER_POOL_H_
