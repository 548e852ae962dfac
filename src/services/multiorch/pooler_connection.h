// One pooler by gRPC: a channel, the calls on it, and the health stream that keeps the board current.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/rpc/channel.h"
#include "services/multiorch/health/health_board.h"
#include "services/multiorch/health/pooler_client.h"
#include "tools/async/event.h"
#include "tools/log/logger.h"
#include "tools/random/random.h"

namespace multigres::orch {

// What all connections of an orchestrator share.
struct ConnectionContext {
  Reactor& reactor;
  Random& random;
  Logger logger;
  HealthBoard& board;
  const Duration& health_check_interval;
  rpc::ChannelOptions channel;
};

class PoolerConnection final : public PoolerClient {
 public:
  PoolerConnection(const ConnectionContext& context, std::string member, Address address);
  ~PoolerConnection() override;

  // Keeps one health stream open, with jitter(100 ms..30 s) between attempts, and tells the board. Returns only by its
  // task's cancellation; `self` keeps the connection alive meanwhile.
  static Awaitable<void> FollowHealth(std::shared_ptr<PoolerConnection> self);
  // There is reason to believe that it can be reached (its record has changed): tries again now, and quickly from
  // there.
  void TryNow() { try_now_.Set(); }
  // Ends the channel; calls fail from now on. Await it before the last reference goes.
  Awaitable<void> Close();

  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(Deadline deadline) override;
  Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(::consensusdata::RecruitRequest request,
                                                              Deadline deadline) override;
  Awaitable<Result<::consensusdata::PromoteResponse>> Promote(::consensusdata::PromoteRequest request,
                                                              Deadline deadline) override;
  Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(::consensusdata::SetPrimaryRequest request,
                                                                    Deadline deadline) override;
  Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> UpdateConsensusRule(
      ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) override;

 private:
  // One stream, from its start to its end; true if it delivered anything.
  Awaitable<Result<bool>> RunStream();

  const ConnectionContext& context_;
  std::string member_;
  std::unique_ptr<rpc::Channel> channel_;
  bool closed_ = false;
  Event try_now_;
};

}  // namespace multigres::orch
