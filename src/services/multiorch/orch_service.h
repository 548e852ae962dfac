// MultiOrchService: what operators and multiadmin ask an orchestrator.
#pragma once

#include "multiorchservice.rpc.h"
#include "services/multiorch/recovery/engine.h"

namespace multigres::orch {

class OrchService final : public ::multiorch::rpc::MultiOrchService {
 public:
  // DisableRecovery() waits this long for running actions.
  static constexpr Duration kDrainTimeout = std::chrono::seconds(60);
  static constexpr int kDefaultCycles = 3;

  OrchService(Engine& engine, HealthBoard& board) : engine_(engine), board_(board) {}

  // NOT_FOUND for a shard that isn't watched or has no pooler.
  Awaitable<Result<::multiorch::ShardStatusResponse>> GetShardStatus(
      rpc::ServerContext& context, const ::multiorch::ShardStatusRequest& request) override;
  Awaitable<Result<::multiorch::DisableRecoveryResponse>> DisableRecovery(
      rpc::ServerContext& context, const ::multiorch::DisableRecoveryRequest& request) override;
  Awaitable<Result<::multiorch::EnableRecoveryResponse>> EnableRecovery(
      rpc::ServerContext& context, const ::multiorch::EnableRecoveryRequest& request) override;
  Awaitable<Result<::multiorch::GetRecoveryStatusResponse>> GetRecoveryStatus(
      rpc::ServerContext& context, const ::multiorch::GetRecoveryStatusRequest& request) override;
  // max_cycles 0 = 3, 1 = one; more is INVALID_ARGUMENT.
  Awaitable<Result<::multiorch::TriggerRecoveryNowResponse>> TriggerRecoveryNow(
      rpc::ServerContext& context, const ::multiorch::TriggerRecoveryNowRequest& request) override;
  // INVALID_ARGUMENT unless the certificate is complete and the proposed rule fits it; see Engine::ApplyCertified().
  Awaitable<Result<::multiorch::ApplyCertifiedRuleChangeResponse>> ApplyCertifiedRuleChange(
      rpc::ServerContext& context, const ::multiorch::ApplyCertifiedRuleChangeRequest& request) override;
  Awaitable<Result<::multiorch::GetFailoverTimelinesResponse>> GetFailoverTimelines(
      rpc::ServerContext& context, const ::multiorch::GetFailoverTimelinesRequest& request) override;

 private:
  Engine& engine_;
  HealthBoard& board_;
};

}  // namespace multigres::orch
