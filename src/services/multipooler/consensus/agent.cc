#include "services/multipooler/consensus/agent.h"

#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/routing_role.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"
#include "services/multipooler/replication/standby_control.h"

namespace multigres::pooler::consensus {

namespace pb = ::clustermetadata;
using multigres::consensus::Compare;
using multigres::consensus::CompareRules;
using multigres::consensus::Enforced;
using multigres::consensus::HighestRule;
using multigres::consensus::HighestRuleNumber;
using multigres::consensus::LsnText;
using multigres::consensus::MemberText;
using multigres::consensus::SafetyRule;
using multigres::consensus::SameMember;
using std::chrono::seconds;

namespace {

constexpr Duration kLockWait = seconds(20);
constexpr Duration kOperation = seconds(60);
constexpr Duration kLook = seconds(2);
constexpr Duration kResignationDrain = seconds(5);
// Its followers are recruited in the same moment: a commit that isn't acknowledged soon never will be.
constexpr Duration kRecruitDrain = std::chrono::milliseconds(500);
constexpr Duration kCheckpoint = seconds(15);

}  // namespace

Agent::Agent(AgentOptions options, MemberState& state, Seams seams, Logger logger)
    : options_(std::move(options)),
      state_(state),
      process_(seams.postgres.process),
      server_(seams.postgres.server),
      schema_(seams.postgres.schema),
      data_(seams.postgres.data),
      disk_(seams.disk),
      promises_(seams.promises),
      action_lock_(seams.action_lock),
      host_(seams.host),
      logger_(std::move(logger)),
      rules_(seams.postgres, MemberText(state.self)) {}

Awaitable<Result<Mutex::Guard>> Agent::Lock(std::string purpose, Deadline deadline) {
  co_return co_await action_lock_.Lock(clock(), deadline.Earlier(clock().After(kLockWait)), std::move(purpose));
}

Awaitable<Result<Agent::Observation>> Agent::Look(bool locked, Deadline deadline) {
  auto server = co_await server_.ReadState(deadline);
  if (!server) co_return std::unexpected(std::move(server.error()));
  const bool plain = server->in_recovery || !locked;
  auto rules = co_await schema_.ReadRule(plain, deadline);
  // It went, or froze, between the two questions.
  const bool answered =
      rules || (rules.error().code() != Code::kDeadlineExceeded && rules.error().code() != Code::kUnavailable);
  if (!answered) co_return std::unexpected(std::move(rules.error()));
  co_return Observation{.server = std::move(*server), .rules = std::move(rules)};
}

Result<> Agent::Take(Observation seen) {
  state_.server = std::move(seen.server);
  state_.position.set_lsn(state_.server->lsn ? LsnText(*state_.server->lsn) : "");
  if (!seen.rules) return std::unexpected(std::move(seen.rules.error()));
  *state_.position.mutable_position() = std::move(*seen.rules);
  state_.bootstrapped = true;
  return {};
}

Awaitable<Result<>> Agent::Observe(Deadline deadline) {
  Result<Observation> seen = Fail(Code::kUnavailable, "PostgreSQL doesn't answer");
  if (!state_.unresponsive) seen = co_await Look(true, deadline.Earlier(clock().After(kLook)));
  if (seen) co_return Take(std::move(*seen));
  state_.server.reset();
  server_.Disconnect();
  co_return std::unexpected(std::move(seen.error()));
}

pb::ConsensusStatus Agent::Status() const {
  pb::ConsensusStatus status;
  *status.mutable_id() = state_.self;
  if (const auto* revocation = promises_.revocation()) *status.mutable_term_revocation() = *revocation;
  if (const auto* floor = promises_.recruit_floor()) *status.mutable_recruit_blocked_until() = *floor;
  *status.mutable_current_position() = state_.position;
  if (state_.recorded_primary) *status.mutable_replication_primary() = *state_.recorded_primary;
  return status;
}

pb::AvailabilityStatus Agent::Availability() const {
  pb::AvailabilityStatus status;
  const std::int64_t term = state_.position.position().decision().rule_number().coordinator_term();
  auto& leadership = *status.mutable_leadership_status();
  if (LeadsByRule()) {
    const bool resigning = state_.resigned_term != 0 && state_.resigned_term >= term;
    leadership.set_leader_term(term);
    leadership.set_signal(resigning ? pb::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION : pb::LEADERSHIP_SIGNAL_ACTIVE);
  }
  status.mutable_cohort_eligibility_status()->set_signal(state_.eligible ? pb::COHORT_ELIGIBILITY_SIGNAL_ELIGIBLE
                                                                         : pb::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE);
  status.set_suspected_divergence(state_.suspected_divergence);
  return status;
}

bool Agent::IsSelfRevoked() const {
  return multigres::consensus::IsRuleRevoked(state_.position.position(), promises_.revocation());
}

bool Agent::LeadsByRule() const {
  const pb::RulePosition& own = state_.position.position();
  const pb::RulePosition* highest = &own;
  if (state_.recorded_primary && CompareRules(state_.recorded_primary->position(), own) > 0) {
    highest = &state_.recorded_primary->position();
  }
  const pb::ShardRule& rule = HighestRule(*highest);
  return rule.has_leader_id() && SameMember(rule.leader_id(), state_.self);
}

bool Agent::IsWritableLeader() const {
  if (!state_.server || state_.suspected_divergence) return false;
  if (state_.promoting && Enforced(SafetyRule::kDecisionBeforeServing)) return false;
  const pb::RulePosition& own = state_.position.position();
  if (!Enforced(SafetyRule::kDecisionBeforeServing) && LeadsByRule()) {
    return !state_.server->in_recovery && !IsSelfRevoked();
  }
  const pb::RulePosition* known = state_.recorded_primary ? &state_.recorded_primary->position() : nullptr;
  const auto role =
      multigres::consensus::RoutingRole(state_.self, own, promises_.revocation(), known, !state_.server->in_recovery);
  // The server may have come out of recovery without this process seeing its rule's acknowledgement.
  return role == multigres::consensus::Role::kPrimary && state_.writes_admitted &&
         state_.admitted_term == own.decision().rule_number().coordinator_term();
}

replication::PrimaryConninfo Agent::ConninfoTo(const pb::PoolerAddress& primary) const {
  return {.host = primary.host(),
          .port = primary.postgres_port(),
          .user = options_.user,
          .application_name = MemberText(state_.self),
          .passfile = options_.passfile};
}

// --- Recruit

Result<> Agent::Acceptable(const pb::TermRevocation& revocation) const {
  return multigres::consensus::ValidateRevocation(state_.position, promises_.revocation(), promises_.recruit_floor(),
                                                  revocation);
}

Awaitable<Result<pb::ConsensusStatus>> Agent::Recruit(pb::TermRevocation revocation, Deadline deadline) {
  deadline = deadline.Earlier(clock().After(kOperation));
  if (write_in_progress_ && Acceptable(revocation)) write_in_progress_->over.Set();
  auto lock = co_await Lock("recruit", deadline);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (!state_.eligible) co_return Fail(Code::kFailedPrecondition, "this member is ineligible for the cohort");
  auto observed = co_await Observe(deadline);
  // A primary whose rule write nobody acknowledges holds the row for ever: its demotion ends that, and the position is
  // read and judged again afterwards.
  const bool write_hangs =
      !observed && observed.error().code() == Code::kAborted && state_.server && !state_.server->in_recovery;
  if (!observed && !write_hangs) co_return Fail(std::move(observed), "own position");
  if (auto acceptable = Acceptable(revocation); !acceptable) co_return std::unexpected(std::move(acceptable.error()));

  const std::string conninfo_before = state_.server->in_recovery ? state_.server->primary_conninfo : std::string();
  auto stopped = co_await StopTakingPart(deadline);
  if (stopped) stopped = co_await Observe(deadline);
  if (stopped) stopped = Acceptable(revocation);
  if (stopped) {
    stopped = promises_.StoreRevocation(multigres::consensus::MergePromise(promises_.revocation(), revocation));
  }
  if (!stopped) {
    logger_.Warn("recruit refused", {{"term", revocation.revoked_below_term()}, {"error", stopped.error()}});
    co_await RestoreConninfo(conninfo_before, deadline);
    co_await host_.OnConsensusChanged();
    co_return std::unexpected(std::move(stopped.error()));
  }
  logger_.Info("consensus.recruit", {{"outcome", "success"},
                                     {"term", revocation.revoked_below_term()},
                                     {"coordinator", MemberText(revocation.accepted_coordinator_id())},
                                     {"lsn", state_.position.lsn()}});
  co_await host_.OnConsensusChanged();
  co_return Status();
}

Awaitable<Result<>> Agent::StopTakingPart(Deadline deadline) {
  if (!state_.server->in_recovery) {
    if (!Enforced(SafetyRule::kPrimaryDemoted)) co_return Result<>();
    // Without a follower no commit in progress can end at all.
    const bool alone = state_.server->connected_followers.empty();
    co_return co_await Demote(alone ? Duration::zero() : kRecruitDrain, deadline);
  }
  if (!Enforced(SafetyRule::kReceiverStopped)) co_return Result<>();
  co_return co_await replication::StopParticipation(server_, process_, deadline);
}

// A primary: no writer is left, everything it wrote is in its WAL, and it comes back in recovery.
Awaitable<Result<>> Agent::Demote(Duration drain, Deadline deadline) {
  logger_.Info("primary.demotion", {{"outcome", "started"}});
  state_.writes_admitted = false;
  co_await host_.DrainForDemotion(drain);
  // The start must not follow anybody by what is left of earlier times.
  std::vector<replication::SettingChange> changes;
  changes.push_back({"primary_conninfo", ""});
  changes.push_back({"restore_command", ""});
  auto changed = co_await server_.ChangeSettings(std::move(changes), deadline);
  if (!changed) co_return Fail(std::move(changed), "demotion");
  state_.suspected_divergence = true;
  auto restarted = co_await RestartAsStandby(true);
  if (!restarted) co_return Fail(std::move(restarted), "demotion");
  auto fenced = co_await replication::ApplySyncStandbys(server_, multigres::consensus::Fence(), deadline);
  if (!fenced) co_return Fail(std::move(fenced), "demotion");
  logger_.Info("primary.demotion", {{"outcome", "success"}});
  co_return Result<>();
}

Awaitable<Result<>> Agent::RestartAsStandby(bool suspected_divergence) {
  server_.Disconnect();
  auto stopped = co_await process_.Stop(seconds(10));
  // Only now: an election that begins while this server still writes would cut its standbys off from the end of its
  // WAL, and from the commits that wait for them.
  state_.resigned_term = state_.position.position().decision().rule_number().coordinator_term();
  if (stopped) {
    co_await host_.OnConsensusChanged();
    stopped = co_await process_.StartAsStandby(suspected_divergence);
  }
  state_.server.reset();
  co_await host_.OnServerRestarted();
  co_return stopped;
}

Awaitable<void> Agent::RestoreConninfo(std::string conninfo, Deadline deadline) {
  if (conninfo.empty()) co_return;
  std::vector<replication::SettingChange> changes;
  changes.push_back({"primary_conninfo", std::move(conninfo)});
  auto restored = co_await server_.ChangeSettings(std::move(changes), deadline);
  if (!restored) logger_.Warn("primary_conninfo not restored", {{"error", restored.error()}});
}

Awaitable<Result<std::string>> Agent::ResignLeadership(Deadline deadline) {
  deadline = deadline.Earlier(clock().After(kOperation));
  auto lock = co_await Lock("resign leadership", deadline);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  auto observed = co_await Observe(deadline);
  if (!observed) co_return Fail(std::move(observed), "own position");
  if (!IsWritableLeader()) co_return Fail(Code::kFailedPrecondition, "this member is not the leader");
  if (state_.server->connected_followers.empty()) {
    co_return Fail(Code::kFailedPrecondition, "no follower is connected that could take over");
  }
  // Clients still write: what is on disk now needn't be written while they wait.
  auto checkpoint = co_await server_.Checkpoint(deadline.Earlier(clock().After(kCheckpoint)));
  if (!checkpoint) logger_.Warn("no checkpoint before the demotion", {{"error", checkpoint.error()}});
  auto demoted = co_await Demote(kResignationDrain, deadline);
  if (!demoted) co_return std::unexpected(std::move(demoted.error()));
  // The shutdown's WAL reached the followers before the walsenders ended: nothing here is ahead of them.
  state_.suspected_divergence = false;
  observed = co_await Observe(deadline);
  co_await host_.OnConsensusChanged();
  if (!observed) co_return Fail(std::move(observed), "own position");
  co_return state_.position.lsn();
}

// --- SetPrimary

// True if it is worth following: not older than what is recorded.
bool Agent::Record(const pb::ReplicationPrimary& primary) {
  if (!state_.recorded_primary) {
    state_.recorded_primary = primary;
    return true;
  }
  const auto order = CompareRules(primary.position(), state_.recorded_primary->position());
  if (order < 0) return false;
  const bool was_ready = order == 0 && state_.recorded_primary->rewind_ready();
  state_.recorded_primary = primary;
  if (was_ready) state_.recorded_primary->set_rewind_ready(true);
  return true;
}

bool Agent::Supersedes(const pb::RulePosition& position) const {
  return Compare(HighestRuleNumber(position), write_in_progress_->rule) > 0 &&
         !multigres::consensus::IsRuleRevoked(position, promises_.revocation());
}

Awaitable<Result<pb::ConsensusStatus>> Agent::SetPrimary(pb::ReplicationPrimary primary, Deadline deadline) {
  const pb::ShardRule& rule = HighestRule(primary.position());
  if (!SameMember(primary.primary().id(), rule.leader_id())) {
    co_return Fail(Code::kInvalidArgument,
                   fmt::format("primary {} is not the leader {} of rule {}", MemberText(primary.primary().id()),
                               MemberText(rule.leader_id()), multigres::consensus::RuleNumberText(rule.rule_number())));
  }
  if (primary.primary().host().empty() || primary.primary().postgres_port() <= 0) {
    co_return Fail(Code::kInvalidArgument, "the primary has no host or port");
  }
  if (SameMember(primary.primary().id(), state_.self)) {
    co_return Fail(Code::kInvalidArgument, "a member can't be its own primary");
  }
  deadline = deadline.Earlier(clock().After(kOperation));
  // Whose rule is higher leads: a change under the own one can't be decided any more, and would hold the lock for long.
  if (write_in_progress_ && Supersedes(primary.position())) write_in_progress_->over.Set();
  auto lock = co_await Lock("set primary", deadline);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  const bool obeys = Enforced(SafetyRule::kSetPrimaryObeysPromise);
  if (obeys && multigres::consensus::IsRuleRevoked(primary.position(), promises_.revocation())) co_return Status();
  const bool newest = Record(primary);
  auto observed = co_await Observe(deadline);
  if (!observed && !state_.server) co_return Fail(std::move(observed), "PostgreSQL");
  if (!newest || state_.replication_stopped) co_return Status();

  Result<> followed;
  if (CompareRules(primary.position(), state_.position.position()) > 0) {
    followed = co_await FollowNewer(deadline);
  } else if (state_.server->in_recovery && !state_.suspected_divergence && !LeadsByRule()) {
    followed = co_await RepairConninfo(deadline);
  }
  co_await host_.OnConsensusChanged();
  if (!followed) co_return std::unexpected(std::move(followed.error()));
  co_return Status();
}

Awaitable<Result<>> Agent::FollowNewer(Deadline deadline) {
  const pb::ShardRule& own = HighestRule(state_.position.position());
  // Whoever has this leader's conninfo already has been rewound, and its rule is on its way.
  const bool rewound = state_.server->primary_conninfo == ConninfoTo(state_.recorded_primary->primary()).Text();
  const bool led = own.has_leader_id() && SameMember(own.leader_id(), state_.self) && !rewound;
  if (state_.server->in_recovery && !led && !state_.suspected_divergence) co_return co_await RepairConninfo(deadline);
  if (!state_.suspected_divergence) {
    logger_.Warn("divergence suspected", {{"in_recovery", state_.server->in_recovery}, {"led", led}});
  }
  state_.suspected_divergence = true;
  state_.writes_admitted = false;
  host_.WakeMonitor();
  if (!state_.recorded_primary->rewind_ready()) {
    co_return Fail(Code::kUnavailable, "own WAL may have diverged and the new leader is not ready for a rewind yet");
  }
  co_return Result<>();
}

Awaitable<Result<>> Agent::RepairConninfo(Deadline deadline) {
  // What is followed must never be forgotten: on disk first.
  auto stored = promises_.StoreFollowed(HighestRuleNumber(state_.recorded_primary->position()));
  if (!stored) co_return stored;
  const bool restores = state_.server && !state_.server->restore_command.empty();
  auto followed = co_await replication::Follow(server_, ConninfoTo(state_.recorded_primary->primary()), deadline);
  // One that is under way would still bring WAL of another history.
  if (followed && restores) followed = co_await process_.StopRestoreCommand();
  co_return followed;
}

}  // namespace multigres::pooler::consensus
