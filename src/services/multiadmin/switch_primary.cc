// SwitchPrimary: a planned change of a shard's leader.
#include "common/consensus/proposal.h"
#include "common/consensus/rule_number.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"
#include "multiadminservice.pb.h"
#include "services/multiadmin/admin_service.h"
#include "services/multiadmin/pooler_connection.h"

namespace multigres::admin {

using clustermetadata::ID;
using clustermetadata::MultiPooler;
using clustermetadata::ShardKey;

namespace {

// Draining, the shutdown of PostgreSQL and its start as a standby: minutes would be a hang.
constexpr Duration kResignTimeout = std::chrono::seconds(90);
// How long orchestrators hold back for another's unfinished appointment (consensus::MustBackOff()), and a little more.
constexpr Duration kHoldBack = std::chrono::milliseconds(4500);

bool IsOf(const MultiPooler& pooler, const ShardKey& shard) {
  const ShardKey& key = pooler.shard_key();
  return key.database() == shard.database() && key.table_group() == shard.table_group() && key.shard() == shard.shard();
}

bool IsLeader(const MultiPooler& pooler) {
  return pooler.routing_state().role() == clustermetadata::PRIMARY;
}

bool HasLeft(const MultiPooler& pooler) {
  const auto status = pooler.lifecycle_status().status();
  return status == clustermetadata::LIFECYCLE_SHUTDOWN || status == clustermetadata::LIFECYCLE_QUARANTINED;
}

}  // namespace

Awaitable<Result<ID>> AdminService::FindLeader(rpc::ServerContext& context, ShardKey shard) {
  topo::CallContext call;
  call.deadline = context.deadline();
  call.cancel = &context.cancel();
  auto records = co_await topo::ListAllComponents<MultiPooler>(store_, call);
  if (!records) co_return std::unexpected(std::move(records.error()));
  const MultiPooler* leader = nullptr;
  std::size_t members = 0;
  for (const auto& record : *records) {
    const MultiPooler& pooler = record.value;
    if (!IsOf(pooler, shard) || HasLeft(pooler)) continue;
    ++members;
    if (!IsLeader(pooler)) continue;
    if (leader == nullptr || consensus::Compare(pooler.routing_state().rule(), leader->routing_state().rule()) > 0) {
      leader = &pooler;
    }
  }
  const std::string name = fmt::format("{}/{}/{}", shard.database(), shard.table_group(), shard.shard());
  if (leader == nullptr) co_return Fail(Code::kNotFound, fmt::format("shard '{}' has no leader", name));
  if (members < 2) {
    co_return Fail(Code::kFailedPrecondition,
                   fmt::format("shard '{}' has no pooler beside its leader that could take over", name));
  }
  co_return leader->id();
}

Awaitable<Result<>> AdminService::WaitOutPromise(rpc::ServerContext& context, PoolerConnection& leader) {
  auto status = co_await leader.client().Status({}, PoolerCall(context));
  if (!status) co_return std::unexpected(std::move(status.error()));
  consensus::Candidate candidate;
  candidate.status = std::move(*status->mutable_consensus_status());
  Clock& clock = store_.reactor().clock();
  // Nobody's own: whoever made the promise, orchestrators other than that one hold back. How old it is nobody here
  // knows.
  if (!consensus::MustBackOff({&candidate, 1}, ID())) co_return Result<>();
  const Deadline until = clock.After(kHoldBack);
  Event cancelled;
  auto subscription = context.cancel().OnCancel([&cancelled](CancelReason) { cancelled.Set(); });
  if (co_await cancelled.WaitUntil(clock, until)) co_return Fail(Code::kCanceled, "canceled before the switch");
  co_return Result<>();
}

Awaitable<Result<::multiadmin::SwitchPrimaryResponse>> AdminService::SwitchPrimary(
    rpc::ServerContext& context, const ::multiadmin::SwitchPrimaryRequest& request) {
  auto valid = topo::ValidateShard(request.shard_key().table_group(), request.shard_key().shard());
  if (!valid) co_return Fail(std::move(valid), "shard_key");
  auto leader_id = co_await FindLeader(context, request.shard_key());
  if (!leader_id) co_return std::unexpected(std::move(leader_id.error()));
  auto leader = co_await ReachPooler(context, *leader_id);
  if (!leader) co_return std::unexpected(std::move(leader.error()));
  const std::string name = fmt::format("pooler '{}'", (*leader)->name());
  auto waited = co_await WaitOutPromise(context, **leader);
  if (!waited) co_return Fail(std::move(waited), name);
  rpc::CallOptions options = PoolerCall(context);
  options.deadline = store_.reactor().clock().After(kResignTimeout).Earlier(context.deadline());
  auto resigned = co_await (*leader)->client().ResignLeadership({}, options);
  if (!resigned) co_return Fail(std::move(resigned), name);
  logger_.Info("primary switched", {{"old_leader", (*leader)->name()},
                                    {"flush_lsn", resigned->flush_lsn()},
                                    {"reason", request.reason()},
                                    {"peer", context.peer()}});
  ::multiadmin::SwitchPrimaryResponse response;
  *response.mutable_old_leader_id() = std::move(*leader_id);
  co_return response;
}

}  // namespace multigres::admin
