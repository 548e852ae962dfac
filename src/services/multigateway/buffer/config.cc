#include "services/multigateway/buffer/config.h"

namespace multigres::gateway::buffer {

Result<> Validate(const BufferConfig& config) {
  const auto refuse = [](std::string text) { return Fail(Code::kInvalidArgument, std::move(text)); };
  if (config.size < 1) return refuse("--buffer-size must be at least 1");
  if (config.window <= Duration::zero()) return refuse("--buffer-window must be positive");
  if (config.max_failover_duration < config.window) {
    return refuse("--buffer-max-failover-duration must not be shorter than --buffer-window");
  }
  if (config.min_time_between_failovers < Duration::zero()) {
    return refuse("--buffer-min-time-between-failovers must not be negative");
  }
  if (config.drain_concurrency < 1) return refuse("--buffer-drain-concurrency must be at least 1");
  return {};
}

}  // namespace multigres::gateway::buffer
