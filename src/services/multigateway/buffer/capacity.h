// How many requests all reactors together may hold back.
#pragma once

#include <atomic>
#include <cstddef>

namespace multigres::gateway::buffer {

// Any thread. Touched only by requests that have failed already.
class BufferCapacity {
 public:
  explicit BufferCapacity(std::size_t limit) : limit_(limit) {}
  bool TryTake() {
    if (taken_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    taken_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void Return() { taken_.fetch_sub(1, std::memory_order_relaxed); }
  std::size_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> taken_ = 0;
};

}  // namespace multigres::gateway::buffer
