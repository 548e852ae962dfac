#include "services/multiorch/recovery/action_runner.h"

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "consensusdata.pb.h"
#include "services/multiorch/recovery/follower_analysis.h"

namespace multigres::orch {
namespace {

using ::multipoolermanagerdata::RuleOperation;

RuleOperation OperationOf(ActionKind action) {
  switch (action) {
    case ActionKind::kAddToCohort:
      return ::multipoolermanagerdata::RULE_OPERATION_COHORT_ADD;
    case ActionKind::kRemoveFromCohort:
      return ::multipoolermanagerdata::RULE_OPERATION_COHORT_REMOVE;
    default:
      return ::multipoolermanagerdata::RULE_OPERATION_ADVANCE;
  }
}

}  // namespace

ActionRunner::ActionRunner(::clustermetadata::ID self, Executor executor, Clock& clock, Logger logger,
                           ShardWatch& watch, PoolerClients& clients, ShardTopology& topology, Coordinator& coordinator,
                           FailoverLog& failovers, const Thresholds& thresholds, ActionOptions options)
    : self_(std::move(self)),
      clock_(clock),
      logger_(std::move(logger)),
      watch_(watch),
      clients_(clients),
      topology_(topology),
      coordinator_(coordinator),
      failovers_(failovers),
      thresholds_(thresholds),
      options_(options),
      polls_(std::move(executor)) {}

Awaitable<Result<ActionRunner::Outcome>> ActionRunner::Run(std::string shard, Problem problem) {
  const bool appoints = problem.action == ActionKind::kAppointLeader;
  // Recruiting asks the others anyway, and the leader has said it all.
  const bool certain = appoints && problem.first_hand;
  if (!certain) co_await Refresh(shard, appoints ? options_.recheck_timeout : options_.poll_timeout);
  const std::vector<Problem> chosen = Decide(Analyse(watch_.View(shard), watch_.Now(), self_, thresholds_));
  auto still = std::ranges::find_if(
      chosen, [&](const Problem& now) { return now.action == problem.action && now.member == problem.member; });
  if (still == chosen.end()) {
    logger_.Info("recovery skipped", {{"shard", shard},
                                      {"problem", CodeText(problem.code)},
                                      {"pooler", problem.member},
                                      {"reason", "gone on fresh data"}});
    co_return Outcome::kGone;
  }
  logger_.Info("recovery started", {{"shard", shard},
                                    {"problem", CodeText(still->code)},
                                    {"pooler", problem.member},
                                    {"action", ActionText(problem.action)},
                                    {"description", still->description}});
  auto result = co_await Perform(shard, *still);
  Counts& counts = counts_[problem.action];
  ++(result ? counts.succeeded : counts.failed);
  if (!result) {
    logger_.Warn("recovery failed", {{"shard", shard},
                                     {"action", ActionText(problem.action)},
                                     {"pooler", problem.member},
                                     {"error", result.error()}});
    co_return std::unexpected(std::move(result.error()));
  }
  logger_.Info("recovery done", {{"shard", shard}, {"action", ActionText(problem.action)}, {"pooler", problem.member}});
  co_return Outcome::kDone;
}

struct ActionRunner::PollRound {
  std::size_t awaited = 0;
  Event done;
};

Awaitable<void> ActionRunner::Refresh(std::string shard, Duration limit) {
  const ShardView view = watch_.View(shard);
  const Moment now = watch_.Now();
  auto round = std::make_shared<PollRound>();
  const Deadline deadline = clock_.After(std::max(limit, options_.poll_timeout));
  for (const PoolerView& pooler : view.poolers) {
    if (pooler.tombstoned) continue;
    const bool awaited = IsResponsive(pooler, now, thresholds_);
    if (awaited) ++round->awaited;
    polls_.Spawn("poll", PollInRound(round, pooler.member, awaited, deadline));
  }
  if (round->awaited > 0) (void)co_await round->done.WaitUntil(clock_, clock_.After(limit));
}

Awaitable<void> ActionRunner::PollInRound(std::shared_ptr<PollRound> round, std::string member, bool awaited,
                                          Deadline deadline) {
  co_await Poll(std::move(member), deadline);
  if (awaited && --round->awaited == 0) round->done.Set();
}

Awaitable<void> ActionRunner::Poll(std::string member, Deadline deadline) {
  auto client = clients_.Find(member);
  if (client == nullptr) co_return;
  auto status = co_await client->Status(deadline);
  if (status) watch_.board().SetStatus(member, std::move(*status));
}

std::vector<Participant> ActionRunner::Participants(const std::string& shard) {
  const ShardView view = watch_.View(shard);
  const ShardFacts facts = Examine(view);
  const Moment now = watch_.Now();
  std::vector<Participant> participants;
  for (consensus::Candidate& candidate : CandidatesOf(view, facts, now, thresholds_)) {
    const std::string member = consensus::MemberText(candidate.status.id());
    const bool prompt = IsPromptStandby(*view.Find(member), now, thresholds_);
    participants.push_back({std::move(candidate), clients_.Find(member), true, prompt});
  }
  for (const PoolerView& pooler : view.poolers) {
    if (pooler.tombstoned || !IsIneligible(pooler)) continue;
    consensus::Candidate candidate;
    *candidate.status.mutable_id() = pooler.record->id();
    participants.push_back({std::move(candidate), clients_.Find(pooler.member), false, false});
  }
  return participants;
}

Awaitable<Result<>> ActionRunner::Perform(std::string shard, Problem problem) {
  switch (problem.action) {
    case ActionKind::kShardInit:
      co_return co_await Initialize(std::move(shard));
    case ActionKind::kAppointLeader:
      co_return co_await Appoint(std::move(shard), std::string(CodeText(problem.code)));
    case ActionKind::kDemoteStaleLeader:
      co_return co_await PointAtLeader(std::move(shard), problem.member, options_.demote_timeout);
    case ActionKind::kFixReplication:
      co_return co_await FixReplication(std::move(shard), problem.member);
    case ActionKind::kAdvance:
    case ActionKind::kAddToCohort:
    case ActionKind::kRemoveFromCohort:
      co_return co_await ChangeRule(std::move(shard), std::move(problem));
    case ActionKind::kNone:
      break;
  }
  co_return Result<>{};
}

Awaitable<Result<>> ActionRunner::Initialize(std::string shard) {
  const Deadline deadline = clock_.After(options_.appoint_timeout);
  const ShardView view = watch_.View(shard);
  const ShardFacts facts = Examine(view);
  const Moment now = watch_.Now();
  auto cohort = InitialCohort({view, facts, now, self_, thresholds_});
  if (!cohort) co_return std::unexpected(std::move(cohort.error()));
  ::clustermetadata::ShardInitClaim wanted;
  *wanted.mutable_claimer_id() = self_;
  for (const std::string& member : *cohort) *wanted.add_cohort_members() = view.Find(member)->record->id();
  auto claim = co_await topology_.ClaimInit(view.key, std::move(wanted), deadline);
  if (!claim) co_return Fail(std::move(claim), "claim the shard's initialization");
  auto change = co_await coordinator_.Initialize(Participants(shard), consensus::MemberSet::Of(claim->cohort_members()),
                                                 *view.bootstrap_policy, deadline);
  co_return Conclude(shard, std::move(change));
}

Awaitable<Result<>> ActionRunner::Appoint(std::string shard, std::string reason) {
  failovers_.Attempt(shard, clock_.WallNow());
  auto change = co_await coordinator_.AppointLeader(Participants(shard), std::move(reason),
                                                    clock_.After(options_.appoint_timeout));
  co_return Conclude(shard, std::move(change));
}

Result<> ActionRunner::Conclude(const std::string& shard, RuleChange change) {
  failovers_.Conclude(shard, change);
  if (change.rule) return {};
  watch_.Abandon(shard, change.term);
  return std::unexpected(std::move(change.rule.error()));
}

Awaitable<Result<>> ActionRunner::PointAtLeader(std::string shard, std::string member, Duration timeout) {
  const ShardView view = watch_.View(shard);
  const ShardFacts facts = Examine(view);
  auto client = clients_.Find(member);
  if (client == nullptr) co_return Fail(Code::kUnavailable, "pooler is not connected");
  ::consensusdata::SetPrimaryRequest request;
  *request.mutable_replication_primary() = ReplicationTarget(facts);
  if (!request.replication_primary().has_primary()) co_return Fail(Code::kUnavailable, "leader's address is not known");
  auto response = co_await client->SetPrimary(std::move(request), clock_.After(timeout));
  if (!response) co_return Fail(std::move(response), "set primary");
  watch_.board().SetConsensus(member, response->consensus_status());
  co_return Result<>{};
}

Awaitable<Result<>> ActionRunner::FixReplication(std::string shard, std::string member) {
  auto pointed = co_await PointAtLeader(shard, member, options_.replication_timeout);
  if (!pointed) co_return pointed;
  const Deadline deadline = clock_.After(options_.verify_timeout);
  while (!deadline.Passed(clock_.Now())) {
    co_await Poll(member, clock_.After(options_.poll_timeout));
    const ShardView view = watch_.View(shard);
    const ShardFacts facts = Examine(view);
    const PoolerView* pooler = view.Find(member);
    if (pooler == nullptr || facts.leader_pooler == nullptr) break;
    if (IsStreaming(*pooler) && NotReplicating(*facts.leader_pooler, *pooler, thresholds_).empty()) {
      co_return Result<>{};
    }
    co_await SleepFor(clock_, options_.verify_interval);
  }
  co_return Fail(Code::kDeadlineExceeded, "it doesn't stream from the leader yet");
}

Awaitable<Result<>> ActionRunner::ChangeRule(std::string shard, Problem problem) {
  const Deadline deadline = clock_.After(options_.rule_timeout);
  const ShardFacts facts = Examine(watch_.View(shard));
  auto leader = clients_.Find(facts.leader);
  if (leader == nullptr) co_return Fail(Code::kUnavailable, "leader is not connected");
  auto member = consensus::ParseMember(problem.member);
  if (!member) co_return std::unexpected(std::move(member.error()));
  ::multipoolermanagerdata::UpdateConsensusRuleRequest request;
  request.set_operation(OperationOf(problem.action));
  if (problem.action != ActionKind::kAdvance) *request.add_standby_ids() = *member;
  *request.mutable_expected_outgoing_rule() = facts.rules.decision().rule_number();
  *request.mutable_coordinator_id() = self_;
  auto response = co_await leader->UpdateConsensusRule(std::move(request), deadline);
  if (!response) co_return Fail(std::move(response), "update the rule");
  if (problem.action == ActionKind::kRemoveFromCohort) co_return Result<>{};
  // Reads the leader's new rule, so that the member is told that one.
  co_await Poll(facts.leader, clock_.After(options_.poll_timeout).Earlier(deadline));
  co_return co_await PointAtLeader(shard, problem.member, deadline.Remaining(clock_.Now()));
}

}  // namespace multigres::orch
