#include "services/multiorch/recovery/shard_topology.h"

#include "common/consensus/member.h"
#include "services/multiorch/health/health_board.h"

namespace multigres::orch {

Awaitable<Result<::clustermetadata::DurabilityPolicy>> MemoryShardTopology::BootstrapPolicy(std::string database,
                                                                                            Deadline /*deadline*/) {
  if (!reachable_) co_return Fail(Code::kUnavailable, "no connection available");
  auto at = policies_.find(database);
  if (at == policies_.end()) co_return Fail(Code::kNotFound, fmt::format("database '{}' not found", database));
  co_return at->second;
}

Awaitable<Result<::clustermetadata::ShardInitClaim>> MemoryShardTopology::ClaimInit(
    ::clustermetadata::ShardKey shard, ::clustermetadata::ShardInitClaim wanted, Deadline /*deadline*/) {
  if (!reachable_) co_return Fail(Code::kUnavailable, "no connection available");
  const ::clustermetadata::ShardInitClaim& stored = claims_.try_emplace(ShardName(shard), wanted).first->second;
  if (!consensus::SameMember(stored.claimer_id(), wanted.claimer_id())) {
    co_return Fail(Code::kAlreadyExists, fmt::format("claimed by {}", consensus::MemberText(stored.claimer_id())));
  }
  co_return stored;
}

}  // namespace multigres::orch
