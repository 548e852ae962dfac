// The seam to the topology store, as far as recovery needs it: only for a shard's first rule, never in a failover.
#pragma once

#include <map>
#include <string>

#include "clustermetadata.pb.h"
#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::orch {

class ShardTopology {
 public:
  virtual ~ShardTopology() = default;
  // The database's bootstrap_durability_policy. NOT_FOUND if there is no such database.
  virtual Awaitable<Result<::clustermetadata::DurabilityPolicy>> BootstrapPolicy(std::string database,
                                                                                 Deadline deadline) = 0;
  // The right to initialise the shard: the claim as stored, whose cohort must be used, if it is `wanted.claimer_id`'s;
  // else ALREADY_EXISTS.
  virtual Awaitable<Result<::clustermetadata::ShardInitClaim>> ClaimInit(::clustermetadata::ShardKey shard,
                                                                         ::clustermetadata::ShardInitClaim wanted,
                                                                         Deadline deadline) = 0;
};

// In memory: first come, first served, for good.
class MemoryShardTopology final : public ShardTopology {
 public:
  void SetPolicy(const std::string& database, const ::clustermetadata::DurabilityPolicy& policy) {
    policies_[database] = policy;
  }
  void SetReachable(bool reachable) { reachable_ = reachable; }

  Awaitable<Result<::clustermetadata::DurabilityPolicy>> BootstrapPolicy(std::string database,
                                                                         Deadline deadline) override;
  Awaitable<Result<::clustermetadata::ShardInitClaim>> ClaimInit(::clustermetadata::ShardKey shard,
                                                                 ::clustermetadata::ShardInitClaim wanted,
                                                                 Deadline deadline) override;

 private:
  bool reachable_ = true;
  std::map<std::string, ::clustermetadata::DurabilityPolicy> policies_;
  std::map<std::string, ::clustermetadata::ShardInitClaim> claims_;
};

}  // namespace multigres::orch
