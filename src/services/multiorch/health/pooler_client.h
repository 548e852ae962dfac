// The seam to poolers: the calls that an orchestrator makes. Behind it are gRPC (multiorch/pooler_connections.h) and,
// in tests, a shard of poolers in memory (memory_shard.h).
#pragma once

#include <memory>
#include <string>

#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace consensusdata {
class PromoteRequest;
class PromoteResponse;
class RecruitRequest;
class RecruitResponse;
class SetPrimaryRequest;
class SetPrimaryResponse;
}  // namespace consensusdata

namespace multipoolermanagerdata {
class StatusResponse;
class UpdateConsensusRuleRequest;
class UpdateConsensusRuleResponse;
}  // namespace multipoolermanagerdata

namespace multigres::orch {

// One pooler. Every call fails with UNAVAILABLE (nobody there), DEADLINE_EXCEEDED, or the pooler's own error; after
// either of the first two it may have happened all the same. Calls on one reactor; the client must outlive them.
class PoolerClient {
 public:
  virtual ~PoolerClient() = default;
  virtual Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(Deadline deadline) = 0;
  virtual Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(::consensusdata::RecruitRequest request,
                                                                      Deadline deadline) = 0;
  virtual Awaitable<Result<::consensusdata::PromoteResponse>> Promote(::consensusdata::PromoteRequest request,
                                                                      Deadline deadline) = 0;
  virtual Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(::consensusdata::SetPrimaryRequest request,
                                                                            Deadline deadline) = 0;
  virtual Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> UpdateConsensusRule(
      ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) = 0;
};

// All poolers that can be called now.
class PoolerClients {
 public:
  virtual ~PoolerClients() = default;
  // Null if the member isn't known. The client stays usable (calls fail) after the pooler has gone.
  virtual std::shared_ptr<PoolerClient> Find(const std::string& member) = 0;
};

}  // namespace multigres::orch
