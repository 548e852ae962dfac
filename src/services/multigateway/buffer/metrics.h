// multigateway.buffer.*
#pragma once

#include "tools/metrics/metrics.h"

namespace multigres::gateway::buffer {

struct BufferMetrics {
  explicit BufferMetrics(Metrics& metrics);

  Counter& buffered;             // requests that began to wait
  Counter& drained;              // ... and were let go to be tried again
  Counter& evicted_full;         // ... or weren't: MTB01
  Counter& evicted_window;       // MTB02
  Counter& evicted_shutdown;     // MTB03
  Counter& evicted_gone;         // cancelled, out of time, or without a client any more
  Counter& skipped;              // found a failover that isn't buffered: too soon after the last one
  Counter& failed_unbuffered;    // ended in an error that a wait might have spared, without having waited
  Counter& failovers;            // times that a shard began to buffer
  Histogram& wait_duration;      // of requests, to their verdict
  Histogram& failover_duration;  // of shards, from the first wait to the last retry
  Gauge& queue_depth;
};

}  // namespace multigres::gateway::buffer
