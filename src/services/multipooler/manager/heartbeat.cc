#include "services/multipooler/manager/heartbeat.h"

#include <charconv>

namespace multigres::pooler::manager {

Awaitable<Result<>> Heartbeat::Beat(std::string leader, Deadline deadline) {
  const std::int64_t now_ns = sessions_.clock().WallNow().time_since_epoch().count();
  auto written = co_await sessions_.Query(
      fmt::format("BEGIN; SET LOCAL synchronous_commit = local; "
                  "INSERT INTO multigres.heartbeat (shard_id, leader_id, ts) VALUES ('0'::bytea, {0}, {1}) "
                  "ON CONFLICT (shard_id) DO UPDATE SET leader_id = {0}, ts = {1}; COMMIT",
                  pgclient::QuoteLiteral(leader), now_ns),
      deadline);
  if (!written) co_return Fail(std::move(written), "heartbeat");
  co_return Result<>();
}

Awaitable<Result<>> Heartbeat::Read(Deadline deadline) {
  auto text = co_await sessions_.Scalar("SELECT ts FROM multigres.heartbeat WHERE shard_id = '0'::bytea", deadline);
  if (!text) co_return Fail(std::move(text), "heartbeat");
  std::int64_t ts = 0;
  std::from_chars(text->data(), text->data() + text->size(), ts);
  if (ts == 0) co_return Result<>();
  const WallTime now = sessions_.clock().WallNow();
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
