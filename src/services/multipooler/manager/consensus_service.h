// The gRPC service MultiPoolerConsensus: the agent on the wire.
#pragma once

#include "consensusservice.rpc.h"
#include "services/multipooler/manager/manager.h"

namespace multigres::pooler::manager {

// Usable from every reactor: calls hop to the manager's.
class ConsensusService final : public ::consensus::rpc::MultiPoolerConsensus {
 public:
  explicit ConsensusService(PoolerManager& manager) : manager_(manager) {}

  using Context = ::multigres::rpc::ServerContext;
  Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> UpdateConsensusRule(
      Context& context, const ::multipoolermanagerdata::UpdateConsensusRuleRequest& request) override;
  Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(Context& context,
                                                              const ::consensusdata::RecruitRequest& request) override;
  Awaitable<Result<::consensusdata::PromoteResponse>> Promote(Context& context,
                                                              const ::consensusdata::PromoteRequest& request) override;
  Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(
      Context& context, const ::consensusdata::SetPrimaryRequest& request) override;

 private:
  PoolerManager& manager_;
};

}  // namespace multigres::pooler::manager
