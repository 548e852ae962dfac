#include "services/multiorch/recovery/reconciler.h"

#include "common/consensus/position.h"
#include "consensusdata.pb.h"

namespace multigres::orch {

void Reconciler::Round(const std::vector<std::string>& shards) {
  for (const std::string& shard : shards) {
    const ShardView view = watch_.View(shard);
    const ShardFacts facts = Examine(view);
    if (!facts.HasCohort() || facts.leader_pooler == nullptr) continue;
    const ::clustermetadata::ReplicationPrimary target = ReplicationTarget(facts);
    for (const PoolerView& pooler : view.poolers) {
      if (pooler.tombstoned || !pooler.last_heard || clock_.Now() - *pooler.last_heard > kForgetAfter) continue;
      if (!NeedsSetPrimary(pooler, target)) continue;
      auto client = clients_.Find(pooler.member);
      if (client == nullptr || !busy_.insert(pooler.member).second) continue;
      calls_.Spawn("reconcile", Tell(pooler.member, std::move(client), target));
    }
  }
}

Awaitable<void> Reconciler::Tell(std::string member, std::shared_ptr<PoolerClient> client,
                                 ::clustermetadata::ReplicationPrimary target) {
  struct Idle {
    std::set<std::string>& busy;
    const std::string& member;
    ~Idle() { busy.erase(member); }
  } idle{busy_, member};
  const std::string rule = consensus::RulePositionText(target.position());
  const std::string leader = consensus::MemberText(target.primary().id());
  ::consensusdata::SetPrimaryRequest request;
  *request.mutable_replication_primary() = std::move(target);
  auto response = co_await client->SetPrimary(std::move(request), clock_.After(kCallTimeout));
  if (!response) {
    logger_.Warn("set primary failed", {{"pooler", member}, {"leader", leader}, {"error", response.error()}});
    co_return;
  }
  logger_.Info("consensus.set_primary",
               {{"outcome", "success"}, {"pooler", member}, {"leader", leader}, {"rule", rule}});
  watch_.board().SetConsensus(member, response->consensus_status());
}

}  // namespace multigres::orch
