// The leader's sign of life inside the data: one row, rewritten all the time, which standbys replay. It tells how far a
// standby lags, whether a leader whose pooler is silent still writes, and whether one whose pooler is heard still can.
#pragma once

#include <string>

#include "services/multipooler/consensus/shard_schema.h"

namespace multigres::pooler::manager {

class Heartbeat {
 public:
  explicit Heartbeat(consensus::ShardSchema& schema, Clock& clock) : schema_(schema), clock_(clock) {}

  // On the leader. Not acknowledged by anybody: it must neither wait for standbys nor count as a write.
  Awaitable<Result<>> Beat(std::string leader, Deadline deadline);
  // On a standby: reads the replayed row.
  Awaitable<Result<>> Read(Deadline deadline);

  // By the leader's clock against ours; 0 = unknown.
  std::int64_t lag_ns() const { return lag_ns_; }
  // Own clock, when the replayed row last changed.
  std::optional<WallTime> advanced_at() const { return advanced_at_; }
  // This server isn't a standby (any more).
  void Forget();

 private:
  consensus::ShardSchema& schema_;
  Clock& clock_;
  std::int64_t last_ts_ = 0;
  std::int64_t lag_ns_ = 0;
  std::optional<WallTime> advanced_at_;
};

}  // namespace multigres::pooler::manager
