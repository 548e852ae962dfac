#include "services/multiorch/orch_service.h"

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/wall_time.h"
#include "multiorchservice.pb.h"

namespace multigres::orch {
namespace {

constexpr Duration kCertifiedTimeout = std::chrono::seconds(65);

void Describe(const DetectedProblem& detected, ::multiorch::DetectedProblem& to) {
  const Problem& problem = detected.problem;
  to.set_code(std::string(CodeText(problem.code)));
  to.set_check_name(std::string(CodeText(problem.code)));
  if (!problem.member.empty()) {
    auto id = consensus::ParseMember(problem.member);
    if (id) *to.mutable_pooler_id() = *id;
  }
  *to.mutable_shard_key() = detected.shard;
  to.set_description(problem.description);
  to.set_priority(Priority(problem.code));
  to.set_scope(problem.IsShardWide() ? "shard" : "pooler");
  *to.mutable_detected_at() = consensus::ToTimestamp(detected.detected_at);
}

void Describe(const PoolerView& pooler, const Moment& now, ::multiorch::PoolerHealth& to) {
  *to.mutable_pooler_id() = pooler.record->id();
  to.set_stream_connected(pooler.stream_connected);
  to.set_postgres_running(pooler.postgres().postgres_running());
  to.set_postgres_ready(pooler.postgres().postgres_ready());
  to.set_pooler_type(::clustermetadata::PoolerType_Name(pooler.postgres().pooler_type()));
  if (pooler.last_heard) *to.mutable_last_seen() = consensus::ToTimestamp(now.wall - (now.steady - *pooler.last_heard));
}

void Describe(const FailoverTimeline& timeline, ::multiorch::FailoverTimeline& to) {
  auto set = [](const std::optional<WallTime>& at,
                ::google::protobuf::Timestamp* (*field)(::multiorch::FailoverTimeline&),
                ::multiorch::FailoverTimeline& to) {
    if (at) *field(to) = consensus::ToTimestamp(*at);
  };
  using Proto = ::multiorch::FailoverTimeline;
  *to.mutable_shard_key() = timeline.shard;
  to.set_reason(std::string(CodeText(timeline.reason)));
  to.set_description(timeline.description);
  to.set_old_leader(timeline.old_leader);
  *to.mutable_old_rule() = timeline.old_rule;
  to.set_new_leader(timeline.new_leader);
  *to.mutable_new_rule() = timeline.new_rule;
  to.set_coordinator(timeline.coordinator);
  to.set_attempts(timeline.attempts);
  to.set_needless(timeline.needless);
  set(timeline.last_sign, [](Proto& to) { return to.mutable_last_sign(); }, to);
  set(timeline.detected, [](Proto& to) { return to.mutable_detected(); }, to);
  set(timeline.started, [](Proto& to) { return to.mutable_started(); }, to);
  set(timeline.recruited, [](Proto& to) { return to.mutable_recruited(); }, to);
  set(timeline.promoted, [](Proto& to) { return to.mutable_promoted(); }, to);
  set(timeline.rule_written, [](Proto& to) { return to.mutable_rule_written(); }, to);
  set(timeline.followers_attached, [](Proto& to) { return to.mutable_followers_attached(); }, to);
  set(timeline.first_write, [](Proto& to) { return to.mutable_first_write(); }, to);
  set(timeline.old_leader_back, [](Proto& to) { return to.mutable_old_leader_back(); }, to);
}

Result<> CheckCertified(const ::multiorch::ApplyCertifiedRuleChangeRequest& request) {
  const auto& revocation = request.cert().term_revocation();
  const auto& proposal = request.proposed_transition().proposal();
  auto invalid = [](std::string why) { return Fail(Code::kInvalidArgument, std::move(why)); };
  if (revocation.accepted_coordinator_id().name().empty()) return invalid("cert: accepted_coordinator_id is required");
  if (!revocation.has_coordinator_initiated_at()) return invalid("cert: coordinator_initiated_at is required");
  if (!revocation.has_outgoing_rule()) return invalid("cert: outgoing_rule is required");
  auto frozen = consensus::ParseLsn(request.cert().frozen_lsn());
  if (!frozen) return invalid("cert: frozen_lsn: " + frozen.error().message());
  if (revocation.revoked_below_term() <= revocation.outgoing_rule().coordinator_term()) {
    return invalid("cert: revoked_below_term must be above the outgoing rule's term");
  }
  if (proposal.rule_number().coordinator_term() != revocation.revoked_below_term() ||
      proposal.rule_number().leader_subterm() != 0) {
    return invalid("proposed rule's number must be (revoked_below_term, 0)");
  }
  auto achievable =
      consensus::CheckAchievable(proposal.durability_policy(), consensus::MemberSet::Of(proposal.cohort_members()));
  if (!achievable) return invalid(achievable.error().message());
  return {};
}

}  // namespace

Awaitable<Result<::multiorch::ShardStatusResponse>> OrchService::GetShardStatus(
    rpc::ServerContext& context, const ::multiorch::ShardStatusRequest& request) {
  const std::string shard = ShardName(request.shard_key());
  const ShardView view = board_.View(shard);
  if (view.poolers.empty()) co_return Fail(Code::kNotFound, fmt::format("shard '{}' has no poolers here", shard));
  Clock& clock = context.reactor().clock();
  const Moment now{clock.Now(), clock.WallNow()};
  ::multiorch::ShardStatusResponse response;
  for (const DetectedProblem& detected : engine_.Problems(shard)) Describe(detected, *response.add_problems());
  for (const PoolerView& pooler : view.poolers) Describe(pooler, now, *response.add_pooler_healths());
  co_return response;
}

Awaitable<Result<::multiorch::DisableRecoveryResponse>> OrchService::DisableRecovery(
    rpc::ServerContext& context, const ::multiorch::DisableRecoveryRequest& /*request*/) {
  const Deadline deadline = context.reactor().clock().After(kDrainTimeout).Earlier(context.deadline());
  const bool drained = co_await engine_.Disable(deadline);
  ::multiorch::DisableRecoveryResponse response;
  response.set_success(drained);
  response.set_message(drained ? "recovery is disabled" : "recovery is disabled, but an action is still running");
  co_return response;
}

Awaitable<Result<::multiorch::EnableRecoveryResponse>> OrchService::EnableRecovery(
    rpc::ServerContext& /*context*/, const ::multiorch::EnableRecoveryRequest& /*request*/) {
  engine_.Enable();
  ::multiorch::EnableRecoveryResponse response;
  response.set_success(true);
  response.set_message("recovery is enabled");
  co_return response;
}

Awaitable<Result<::multiorch::GetRecoveryStatusResponse>> OrchService::GetRecoveryStatus(
    rpc::ServerContext& /*context*/, const ::multiorch::GetRecoveryStatusRequest& /*request*/) {
  ::multiorch::GetRecoveryStatusResponse response;
  response.set_enabled(engine_.enabled());
  for (const std::string& shard : board_.ShardNames()) *response.add_shards() = board_.View(shard).key;
  co_return response;
}

Awaitable<Result<::multiorch::TriggerRecoveryNowResponse>> OrchService::TriggerRecoveryNow(
    rpc::ServerContext& /*context*/, const ::multiorch::TriggerRecoveryNowRequest& request) {
  if (request.max_cycles() > 1) co_return Fail(Code::kInvalidArgument, "max_cycles must be 0 or 1");
  auto codes = co_await engine_.TriggerNow(request.max_cycles() == 0 ? kDefaultCycles : 1);
  if (!codes) co_return std::unexpected(std::move(codes.error()));
  ::multiorch::TriggerRecoveryNowResponse response;
  for (std::string& code : *codes) response.add_remaining_problem_codes(std::move(code));
  co_return response;
}

Awaitable<Result<::multiorch::ApplyCertifiedRuleChangeResponse>> OrchService::ApplyCertifiedRuleChange(
    rpc::ServerContext& context, const ::multiorch::ApplyCertifiedRuleChangeRequest& request) {
  auto valid = CheckCertified(request);
  if (!valid) co_return std::unexpected(std::move(valid.error()));
  const std::string shard = ShardName(request.shard_key());
  if (board_.View(shard).poolers.empty()) {
    co_return Fail(Code::kNotFound, fmt::format("shard '{}' has no poolers here", shard));
  }
  const Deadline deadline = context.reactor().clock().After(kCertifiedTimeout).Earlier(context.deadline());
  auto rule = co_await engine_.ApplyCertified(shard, request.cert(), request.proposed_transition().proposal(),
                                              request.reason(), deadline);
  if (!rule) co_return std::unexpected(std::move(rule.error()));
  co_return ::multiorch::ApplyCertifiedRuleChangeResponse();
}

Awaitable<Result<::multiorch::GetFailoverTimelinesResponse>> OrchService::GetFailoverTimelines(
    rpc::ServerContext& /*context*/, const ::multiorch::GetFailoverTimelinesRequest& request) {
  ::multiorch::GetFailoverTimelinesResponse response;
  const bool all = !request.has_shard_key() || request.shard_key().database().empty();
  const std::string shard = ShardName(request.shard_key());
  for (const FailoverTimeline& timeline : engine_.failovers().Timelines()) {
    if (request.limit() != 0 && response.timelines_size() >= static_cast<int>(request.limit())) break;
    if (all || ShardName(timeline.shard) == shard) Describe(timeline, *response.add_timelines());
  }
  co_return response;
}

}  // namespace multigres::orch
