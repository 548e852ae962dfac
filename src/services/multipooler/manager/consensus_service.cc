#include "services/multipooler/manager/consensus_service.h"

#include "services/multipooler/manager/on_manager.h"

namespace multigres::pooler::manager {

namespace data = ::multipoolermanagerdata;

Awaitable<Result<data::UpdateConsensusRuleResponse>> ConsensusService::UpdateConsensusRule(
    Context& context, const data::UpdateConsensusRuleRequest& request) {
  using Response = data::UpdateConsensusRuleResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(
      context, manager_, [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
        auto position = co_await manager.agent().UpdateConsensusRule(request, deadline);
        if (!position) co_return std::unexpected(std::move(position.error()));
        Response response;
        *response.mutable_current_position() = std::move(*position);
        co_return response;
      });
}

Awaitable<Result<::consensusdata::RecruitResponse>> ConsensusService::Recruit(
    Context& context, const ::consensusdata::RecruitRequest& request) {
  using Response = ::consensusdata::RecruitResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(
      context, manager_, [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
        auto status = co_await manager.agent().Recruit(request.term_revocation(), deadline);
        if (!status) co_return std::unexpected(std::move(status.error()));
        Response response;
        *response.mutable_consensus_status() = std::move(*status);
        co_return response;
      });
}

Awaitable<Result<::consensusdata::PromoteResponse>> ConsensusService::Promote(
    Context& context, const ::consensusdata::PromoteRequest& request) {
  using Response = ::consensusdata::PromoteResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(context, manager_,
                                         [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
                                           auto status = co_await manager.agent().Promote(request, deadline);
                                           if (!status) co_return std::unexpected(std::move(status.error()));
                                           Response response;
                                           *response.mutable_consensus_status() = std::move(*status);
                                           co_return response;
                                         });
}

Awaitable<Result<::consensusdata::SetPrimaryResponse>> ConsensusService::SetPrimary(
    Context& context, const ::consensusdata::SetPrimaryRequest& request) {
  using Response = ::consensusdata::SetPrimaryResponse;
  const Deadline deadline = context.deadline();
  co_return co_await OnManager<Response>(
      context, manager_, [request, deadline](PoolerManager& manager) -> Awaitable<Result<Response>> {
        auto status = co_await manager.agent().SetPrimary(request.replication_primary(), deadline);
        if (!status) co_return std::unexpected(std::move(status.error()));
        Response response;
        *response.mutable_consensus_status() = std::move(*status);
        co_return response;
      });
}

}  // namespace multigres::pooler::manager
