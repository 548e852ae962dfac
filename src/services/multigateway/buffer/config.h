// The failover buffer's settings (--buffer-*).
#pragma once

#include <cstdint>

#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::gateway::buffer {

struct BufferConfig {
  bool enabled = true;
  // Requests that wait or are being retried, over all reactors.
  std::uint64_t size = 1000;
  // The longest that one request waits.
  Duration window = std::chrono::seconds(10);
  // The longest that a shard buffers; then everything is tried once more, leader or not.
  Duration max_failover_duration = std::chrono::seconds(20);
  // How long after a failover the next one isn't buffered. None by default: the second failover within a minute is when
  // clients need the buffer most, and what a shard that flaps can cost is bounded by window, duration and size. Those
  // who would rather fail fast set it.
  Duration min_time_between_failovers{0};
  // Retries of one shard at the same time, per reactor.
  std::uint64_t drain_concurrency = 1;
};

// INVALID_ARGUMENT naming the flag.
Result<> Validate(const BufferConfig& config);

}  // namespace multigres::gateway::buffer
