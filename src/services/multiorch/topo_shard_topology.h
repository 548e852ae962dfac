// Recovery's view of the topology store.
#pragma once

#include "common/topoclient/shards.h"
#include "services/multiorch/recovery/shard_topology.h"

namespace multigres::orch {

class TopoShardTopology final : public ShardTopology {
 public:
  explicit TopoShardTopology(topo::Store& store) : store_(store), claims_(store) {}

  Awaitable<Result<::clustermetadata::DurabilityPolicy>> BootstrapPolicy(std::string database,
                                                                         Deadline deadline) override;
  Awaitable<Result<::clustermetadata::ShardInitClaim>> ClaimInit(::clustermetadata::ShardKey shard,
                                                                 ::clustermetadata::ShardInitClaim wanted,
                                                                 Deadline deadline) override;

 private:
  topo::Store& store_;
  topo::ShardInitClaims claims_;
};

}  // namespace multigres::orch
