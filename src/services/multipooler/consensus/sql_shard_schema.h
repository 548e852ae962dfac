// The schema `multigres` by SQL.
#pragma once

#include "services/multipooler/consensus/shard_schema.h"
#include "services/multipooler/replication/admin_sessions.h"

namespace multigres::pooler::consensus {

class SqlShardSchema final : public ShardSchema {
 public:
  explicit SqlShardSchema(replication::AdminSessions& sessions) : sessions_(sessions) {}

  Awaitable<Result<>> Create(::clustermetadata::DurabilityPolicy policy, std::string bootstrapper,
                             Deadline deadline) override;
  Awaitable<Result<>> RecreateUnlogged(Deadline deadline) override;
  Awaitable<Result<::clustermetadata::RulePosition>> ReadRule(bool plain, Deadline deadline) override;
  Awaitable<Result<replication::Lsn>> CommitRule(RuleCommit commit, Deadline deadline) override;
  Awaitable<Result<>> WriteHeartbeat(std::string leader, std::int64_t ts_ns, Deadline deadline) override;
  Awaitable<Result<std::optional<std::int64_t>>> ReadHeartbeat(Deadline deadline) override;

 private:
  replication::AdminSessions& sessions_;
};

}  // namespace multigres::pooler::consensus
