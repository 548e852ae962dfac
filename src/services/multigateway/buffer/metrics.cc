#include "services/multigateway/buffer/metrics.h"

namespace multigres::gateway::buffer {

namespace {

Counter& Requests(Metrics& metrics, std::string_view what, std::string_view help, const MetricLabels& labels = {}) {
  return metrics.AddCounter(
      {.name = "multigateway.buffer.requests." + std::string(what), .unit = "{request}", .help = std::string(help)},
      labels);
}

Counter& Evicted(Metrics& metrics, std::string_view reason) {
  return Requests(metrics, "evicted", "Requests that left the failover buffer without a retry",
                  {{"reason", std::string(reason)}});
}

std::vector<double> SecondsBounds() {
  return {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30};
}

}  // namespace

BufferMetrics::BufferMetrics(Metrics& metrics)
    : buffered(Requests(metrics, "buffered", "Requests held back for a leader")),
      drained(Requests(metrics, "drained", "Held requests that were let go to be tried again")),
      evicted_full(Evicted(metrics, "full")),
      evicted_window(Evicted(metrics, "window")),
      evicted_shutdown(Evicted(metrics, "shutdown")),
      evicted_gone(Evicted(metrics, "gone")),
      skipped(Requests(metrics, "skipped", "Requests not held because the last failover is too recent")),
      failed_unbuffered(Requests(metrics, "failed_unbuffered", "Requests without a leader that failed without a wait")),
      failovers(metrics.AddCounter({.name = "multigateway.buffer.failovers",
                                    .unit = "{failover}",
                                    .help = "Times that a shard began to buffer, per reactor"})),
      wait_duration(metrics.AddHistogram(
          {.name = "multigateway.buffer.wait.duration", .unit = "s", .help = "Time that requests were held back"},
          SecondsBounds())),
      failover_duration(metrics.AddHistogram({.name = "multigateway.buffer.failover.duration",
                                              .unit = "s",
                                              .help = "Time from the first held request to the last retry"},
                                             SecondsBounds())),
      queue_depth(metrics.AddGauge(
          {.name = "multigateway.buffer.queue.depth", .unit = "{request}", .help = "Requests held back now"})) {}

}  // namespace multigres::gateway::buffer
