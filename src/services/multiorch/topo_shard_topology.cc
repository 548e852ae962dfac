#include "services/multiorch/topo_shard_topology.h"

#include "common/consensus/durability.h"
#include "common/topoclient/cells.h"

namespace multigres::orch {

Awaitable<Result<::clustermetadata::DurabilityPolicy>> TopoShardTopology::BootstrapPolicy(std::string database,
                                                                                          Deadline deadline) {
  auto record = co_await topo::GetDatabase(store_, {.deadline = deadline}, std::move(database));
  if (!record) co_return std::unexpected(std::move(record.error()));
  ::clustermetadata::DurabilityPolicy policy = record->value.bootstrap_durability_policy();
  auto valid = consensus::ValidatePolicy(policy);
  if (!valid) co_return Fail(std::move(valid), "bootstrap_durability_policy");
  if (policy.policy_name().empty()) policy.set_policy_name(consensus::PolicyText(policy));
  co_return policy;
}

Awaitable<Result<::clustermetadata::ShardInitClaim>> TopoShardTopology::ClaimInit(
    ::clustermetadata::ShardKey shard, ::clustermetadata::ShardInitClaim wanted, Deadline deadline) {
  co_return co_await claims_.Claim({.deadline = deadline}, std::move(shard), std::move(wanted));
}

}  // namespace multigres::orch
