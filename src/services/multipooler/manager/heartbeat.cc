#include "services/multipooler/manager/heartbeat.h"

namespace multigres::pooler::manager {

Awaitable<Result<>> Heartbeat::Beat(std::string leader, Deadline deadline) {
  co_return co_await schema_.WriteHeartbeat(std::move(leader), clock_.WallNow().time_since_epoch().count(), deadline);
}

Awaitable<Result<>> Heartbeat::Read(Deadline deadline) {
  auto beat = co_await schema_.ReadHeartbeat(deadline);
  if (!beat) co_return std::unexpected(std::move(beat.error()));
  if (!*beat) co_return Result<>();
  const std::int64_t ts = **beat;
  const WallTime now = clock_.WallNow();
  if (ts != last_ts_) advanced_at_ = now;
  last_ts_ = ts;
  // At least 1: 0 means unknown.
  lag_ns_ = std::max<std::int64_t>(1, now.time_since_epoch().count() - ts);
  co_return Result<>();
}

void Heartbeat::Forget() {
  last_ts_ = 0;
  lag_ns_ = 0;
  advanced_at_.reset();
}

}  // namespace multigres::pooler::manager
