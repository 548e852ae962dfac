// The leader's half of the agent: promotion, and changes of the rule that it leads by.
#include "common/consensus/durability.h"
#include "common/consensus/equivocation.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/routing_role.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"
#include "services/multipooler/consensus/agent.h"

namespace multigres::pooler::consensus {

namespace pb = ::clustermetadata;
using multigres::consensus::Compare;
using multigres::consensus::HasProposal;
using multigres::consensus::HighestRule;
using multigres::consensus::MemberSet;
using multigres::consensus::MemberText;
using multigres::consensus::RuleNumberText;
using multigres::consensus::SameContent;
using multigres::consensus::SameMember;
using multigres::consensus::SameNumber;
using std::chrono::seconds;

namespace {

constexpr Duration kPromotion = seconds(120);
constexpr Duration kLeaveRecovery = seconds(30);
constexpr Duration kClearSettings = seconds(5);

Error NotPromotable(std::string why) {
  return Error(Code::kFailedPrecondition, std::move(why));
}

Error TwoContents(const pb::ShardRule& rule) {
  return Error(Code::kDataLoss,
               fmt::format("rule {} is known with another content", RuleNumberText(rule.rule_number())));
}

// The position once `rule` is proposed beyond the decision of `from`.
pb::RulePosition Proposed(const pb::RulePosition& from, const pb::ShardRule& rule) {
  pb::RulePosition position;
  *position.mutable_decision() = from.decision();
  *position.mutable_proposal() = rule;
  return position;
}

bool IsDecided(const pb::RulePosition& own, const pb::ShardRule& rule) {
  return SameNumber(own.decision().rule_number(), rule.rule_number());
}

}  // namespace

Result<> Agent::CheckPromotable(const ::consensusdata::CoordinatorProposal& proposal) const {
  const pb::TermRevocation& revocation = proposal.term_revocation();
  const pb::ShardRule& rule = proposal.proposed_transition().proposal();
  const std::int64_t term = revocation.revoked_below_term();
  if (!SameMember(proposal.proposal_leader().id(), state_.self) || !SameMember(rule.leader_id(), state_.self)) {
    return Fail(Code::kInvalidArgument, "the proposal names another leader");
  }
  if (rule.rule_number().coordinator_term() != term) {
    return Fail(Code::kInvalidArgument,
                fmt::format("rule {} doesn't belong to term {}", RuleNumberText(rule.rule_number()), term));
  }
  const pb::TermRevocation* stored = promises_.revocation();
  if (stored == nullptr || stored->revoked_below_term() != term) {
    return std::unexpected(NotPromotable(fmt::format("must Recruit before Promote: promised term {}, proposed term {}",
                                                     stored == nullptr ? 0 : stored->revoked_below_term(), term)));
  }
  if (auto newest = CheckNewest(rule); !newest) return newest;
  // A proposal or decision of this very term is a promotion that began here before.
  const pb::ShardRule& own = HighestRule(state_.position.position());
  if (own.rule_number().coordinator_term() == term) {
    if (!SameNumber(own.rule_number(), rule.rule_number())) {
      return std::unexpected(NotPromotable(fmt::format(
          "own rule {} is not the proposed one", multigres::consensus::RulePositionText(state_.position.position()))));
    }
    if (!SameContent(own, rule)) return std::unexpected(TwoContents(rule));
    return {};
  }
  auto valid = multigres::consensus::ValidateRevocation(state_.position, stored, promises_.recruit_floor(), revocation);
  if (!valid) return valid;
  const pb::RulePosition& transition = proposal.proposed_transition();
  if (!SameNumber(transition.decision().rule_number(), state_.position.position().decision().rule_number())) {
    return std::unexpected(
        NotPromotable(fmt::format("the proposal builds on decision {}, but the own one is {}",
                                  RuleNumberText(transition.decision().rule_number()),
                                  RuleNumberText(state_.position.position().decision().rule_number()))));
  }
  return multigres::consensus::CheckAchievable(rule.durability_policy(), MemberSet::Of(rule.cohort_members()));
}

// Whom this member was told to follow must not be forgotten for an older rule.
Result<> Agent::CheckNewest(const pb::ShardRule& rule) const {
  if (!state_.recorded_primary) return {};
  const pb::ShardRule& known = HighestRule(state_.recorded_primary->position());
  const auto order = Compare(known.rule_number(), rule.rule_number());
  if (order > 0) {
    return std::unexpected(
        NotPromotable(fmt::format("rule {} is known, which is above the proposed {}",
                                  RuleNumberText(known.rule_number()), RuleNumberText(rule.rule_number()))));
  }
  if (order == 0 && !SameContent(known, rule)) return std::unexpected(TwoContents(rule));
  return {};
}

Awaitable<Result<pb::ConsensusStatus>> Agent::Promote(::consensusdata::PromoteRequest request, Deadline deadline) {
  // Once recovery is left there is no way back: the caller's own deadline bounds only the way to the lock.
  auto lock = co_await Lock("promote", deadline);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  deadline = clock().After(kPromotion);
  const ::consensusdata::CoordinatorProposal& proposal = request.proposal();
  const pb::ShardRule& rule = proposal.proposed_transition().proposal();
  auto observed = co_await Observe(deadline);
  if (!observed) co_return Fail(std::move(observed), "own position");
  auto promotable = CheckPromotable(proposal);
  if (!promotable) co_return std::unexpected(std::move(promotable.error()));
  // A repetition that finds everything done: whoever is served shall not notice it.
  if (IsDecided(state_.position.position(), rule) && IsWritableLeader()) co_return Status();

  // Its server runs, so the rewind had ended whose mark the process before didn't live to remove. A leader with the
  // mark would take itself for diverged.
  if (RewindWasInterrupted()) {
    auto removed = disk_.Remove(RewindSentinel(options_.pooler_dir));
    if (!removed) co_return Fail(std::move(removed), "promotion");
  }
  state_.promoting = true;
  const TimePoint began = clock().Now();
  TimePoint left_recovery = began;
  logger_.Info("primary.promotion", {{"outcome", "started"}, {"rule", RuleNumberText(rule.rule_number())}});
  auto done = co_await LeaveRecovery(proposal, deadline);
  if (done) {
    left_recovery = clock().Now();
    pb::ReplicationPrimary self;
    const pb::RulePosition& own = state_.position.position();
    *self.mutable_position() = IsDecided(own, rule) ? own : Proposed(own, rule);
    *self.mutable_primary() = state_.address;
    state_.recorded_primary = std::move(self);
    co_await host_.OnConsensusChanged();
    host_.CheckpointSoon();
    RuleWrite write;
    write.commit.expected = state_.position.position();
    write.commit.rule = rule;
    write.commit.event_type = "promotion";
    write.commit.reason = request.reason().empty() ? "promotion" : request.reason();
    write.commit.accepted_members = MemberSet::Of(request.accepted_node_ids());
    done = co_await InstallRule(std::move(write), proposal.skip_outgoing_quorum(), deadline);
  }
  state_.promoting = false;
  if (!done) {
    logger_.Error("primary.promotion", {{"outcome", "failed"}, {"error", done.error()}});
    co_await host_.OnConsensusChanged();
    co_return std::unexpected(std::move(done.error()));
  }
  state_.suspected_divergence = false;
  // An operator stopped its replication after it was recruited. It has none any more, and nobody could start it again.
  if (std::exchange(state_.replication_stopped, false)) state_.eligible = true;
  state_.resigned_term = 0;
  state_.writes_admitted = true;
  state_.admitted_term = rule.rule_number().coordinator_term();
  *state_.recorded_primary->mutable_position() = state_.position.position();
  const auto ms = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  };
  logger_.Info("primary.promotion", {{"outcome", "success"},
                                     {"rule", RuleNumberText(rule.rule_number())},
                                     {"recovery_left_ms", ms(left_recovery - began)},
                                     {"rule_decided_ms", ms(clock().Now() - left_recovery)}});
  co_await host_.OnConsensusChanged();
  (void)promises_.StoreFollowed(rule.rule_number());
  host_.WakeMonitor();
  co_return Status();
}

Awaitable<Result<>> Agent::LeaveRecovery(const ::consensusdata::CoordinatorProposal& proposal, Deadline deadline) {
  const pb::RulePosition& transition = proposal.proposed_transition();
  const bool repeated = !state_.server->in_recovery;
  // Only to be confirmed, under its own list.
  if (repeated && IsDecided(state_.position.position(), transition.proposal())) co_return Result<>();
  auto standbys = proposal.skip_outgoing_quorum()
                      ? multigres::consensus::IncomingSyncStandbys(transition.proposal())
                      : multigres::consensus::BothSyncStandbys(transition.decision(), transition.proposal());
  if (!standbys) co_return std::unexpected(std::move(standbys.error()));
  // In force before the first commit is possible.
  auto applied = co_await replication::ApplySyncStandbys(server_, *standbys, deadline);
  if (!applied) co_return Fail(std::move(applied), "synchronous standbys");
  if (repeated) co_return Result<>();
  if (!state_.server->primary_conninfo.empty()) {
    co_return std::unexpected(NotPromotable("must Recruit before Promote: primary_conninfo is set"));
  }
  co_await host_.OnConsensusChanged();
  auto promoted = co_await server_.Promote(proposal.term_revocation().revoked_below_term(),
                                           deadline.Earlier(clock().After(kLeaveRecovery)));
  if (!promoted) co_return Fail(std::move(promoted), "promotion");
  co_return co_await Observe(deadline);
}

// Both rules' acknowledgement for the proposal and for the decision; the incoming rule's alone afterwards.
Awaitable<Result<>> Agent::InstallRule(RuleWrite write, bool skip_outgoing, Deadline deadline) {
  if (IsDecided(write.commit.expected, write.commit.rule)) {
    auto confirmed = co_await ConfirmDecision(deadline);
    if (!confirmed) co_return confirmed;
    co_return co_await Observe(deadline);
  }
  const pb::ShardRule outgoing = write.commit.expected.decision();
  const pb::ShardRule rule = write.commit.rule;
  auto standbys = skip_outgoing ? multigres::consensus::IncomingSyncStandbys(rule)
                                : multigres::consensus::BothSyncStandbys(outgoing, rule);
  if (!standbys) co_return std::unexpected(std::move(standbys.error()));
  Result<multigres::consensus::AckRequirement> requirement = multigres::consensus::IncomingRequirement(rule);
  if (!skip_outgoing) requirement = multigres::consensus::BothRequirement(outgoing, rule);
  if (!requirement) co_return std::unexpected(std::move(requirement.error()));
  write.standbys = *standbys;
  write.requirement = *requirement;
  if (state_.server->synchronous_standby_names != standbys->Text()) {
    auto applied = co_await replication::ApplySyncStandbys(server_, *standbys, deadline);
    if (!applied) co_return Fail(std::move(applied), "synchronous standbys");
  }
  auto proposed = co_await UnlessSuperseded(rule.rule_number(), rules_.WriteProposal(write, deadline));
  if (!proposed) co_return proposed;
  *state_.position.mutable_position() = Proposed(write.commit.expected, rule);
  write.commit.expected = state_.position.position();
  auto decided = co_await UnlessSuperseded(rule.rule_number(), rules_.MarkDecision(std::move(write), deadline));
  if (!decided) co_return decided;
  pb::RulePosition position;
  *position.mutable_decision() = rule;
  *state_.position.mutable_position() = std::move(position);
  auto incoming = multigres::consensus::IncomingSyncStandbys(rule);
  if (!incoming) co_return std::unexpected(std::move(incoming.error()));
  // Mostly both rules together ask for what the incoming one asks for.
  if (incoming->Text() == standbys->Text()) co_return co_await Observe(deadline);
  auto applied = co_await replication::ApplySyncStandbys(server_, *incoming, deadline);
  if (!applied) co_return Fail(std::move(applied), "synchronous standbys");
  co_return co_await Observe(deadline);
}

// A decision in the own WAL alone proves nothing: it counts once a quorum acknowledges what comes after it. (Before it
// was written, both rules' quorums held the proposal.)
Awaitable<Result<>> Agent::ConfirmDecision(Deadline deadline) {
  auto repaired = co_await RepairSyncStandbys(deadline);
  if (!repaired) co_return repaired;
  if (!multigres::consensus::Enforced(multigres::consensus::SafetyRule::kReadmitByQuorum)) co_return Result<>();
  RuleWrite write;
  write.commit.expected = state_.position.position();
  write.commit.rule = write.commit.expected.decision();
  write.requirement = multigres::consensus::IncomingRequirement(write.commit.rule);
  auto standbys = multigres::consensus::IncomingSyncStandbys(write.commit.rule);
  if (!standbys) co_return std::unexpected(std::move(standbys.error()));
  write.standbys = *standbys;
  const pb::RuleNumber number = write.commit.rule.rule_number();
  co_return co_await UnlessSuperseded(number, rules_.Confirm(std::move(write), deadline));
}

// Sets `over` also when the task is cancelled.
Awaitable<void> Agent::KeepResult(Awaitable<Result<>> write, std::shared_ptr<WriteInProgress> progress) {
  struct AtTheEnd {
    Event& over;
    ~AtTheEnd() { over.Set(); }
  } at_the_end{progress->over};
  progress->result = co_await std::move(write);
}

// Until it is given up for a recruitment or a higher leader: then the write goes on by itself, until its own deadline.
Awaitable<Result<>> Agent::UnlessSuperseded(pb::RuleNumber rule, Awaitable<Result<>> write) {
  auto progress = std::make_shared<WriteInProgress>();
  progress->rule = std::move(rule);
  write_in_progress_ = progress;
  host_.InBackground("rule write", KeepResult(std::move(write), progress));
  co_await progress->over.Wait();
  write_in_progress_.reset();
  if (progress->result) co_return *progress->result;
  co_return std::unexpected(
      Error(Code::kAborted, "the change of the rule was given up: another leader is appointed, or known")
          .WithExecution(Execution::kMayHaveExecuted));
}

bool Agent::CouldReadmit() const {
  if (!state_.server || state_.server->in_recovery || state_.promoting || state_.suspected_divergence) return false;
  const pb::RulePosition& own = state_.position.position();
  const std::int64_t term = own.decision().rule_number().coordinator_term();
  const pb::RulePosition* known = state_.recorded_primary ? &state_.recorded_primary->position() : nullptr;
  // The timeline says in which term this server was promoted.
  return !HasProposal(own) && state_.server->timeline == term + 1 && state_.resigned_term < term &&
         multigres::consensus::IsActiveLeader(state_.self, own, promises_.revocation(), known);
}

Awaitable<Result<>> Agent::Readmit(Deadline deadline) {
  auto confirmed = co_await ConfirmDecision(deadline);
  if (!confirmed) co_return confirmed;
  const pb::RuleNumber& number = state_.position.position().decision().rule_number();
  state_.writes_admitted = true;
  state_.admitted_term = number.coordinator_term();
  pb::ReplicationPrimary self;
  *self.mutable_position() = state_.position.position();
  *self.mutable_primary() = state_.address;
  state_.recorded_primary = std::move(self);
  // The process before may not have lived to see it, and nobody could be rewound until the server makes one by itself.
  if (state_.server && state_.server->checkpoint_timeline != state_.server->timeline) host_.CheckpointSoon();
  logger_.Info("leading again", {{"rule", RuleNumberText(number)}});
  co_return Result<>();
}

Awaitable<Result<>> Agent::FinishPromotion() {
  {
    auto lock = co_await Lock("finish promotion", Deadline::Never());
    if (!lock) co_return std::unexpected(std::move(lock.error()));
    // A follower by now: its settings belong to its new leader.
    if (!IsWritableLeader()) co_return Result<>();
    std::vector<replication::SettingChange> changes;
    changes.push_back({"primary_conninfo", ""});
    changes.push_back({"restore_command", ""});
    auto cleared = co_await server_.ChangeSettings(std::move(changes), clock().After(kClearSettings));
    if (!cleared) co_return Fail(std::move(cleared), "settings of a standby");
  }
  // Takes as long as there are tables, and a standby refuses it: nothing waits for it.
  host_.InBackground("unlogged tables", RecreateUnlogged());
  co_return Result<>();
}

Awaitable<void> Agent::RecreateUnlogged() {
  auto recreated = co_await schema_.RecreateUnlogged(clock().After(kPromotion));
  if (!recreated) logger_.Warn("unlogged tables not recreated", {{"error", recreated.error()}});
}

Awaitable<Result<>> Agent::RepairSyncStandbys(Deadline deadline) {
  auto wanted = multigres::consensus::SyncStandbysFor(state_.position.position(), MemberText(state_.self));
  if (!wanted) co_return std::unexpected(std::move(wanted.error()));
  if (state_.server->synchronous_standby_names == wanted->Text() && state_.server->synchronous_commit == "on") {
    co_return Result<>();
  }
  logger_.Warn("synchronous standbys repaired",
               {{"was", state_.server->synchronous_standby_names}, {"now", wanted->Text()}});
  co_return co_await replication::ApplySyncStandbys(server_, std::move(*wanted), deadline);
}

// --- UpdateConsensusRule

Result<RuleWrite> Agent::CohortChange(const ::multipoolermanagerdata::UpdateConsensusRuleRequest& request) {
  using ::multipoolermanagerdata::RULE_OPERATION_ADVANCE;
  using ::multipoolermanagerdata::RULE_OPERATION_COHORT_ADD;
  using ::multipoolermanagerdata::RULE_OPERATION_COHORT_REMOVE;
  const pb::ShardRule& current = state_.position.position().decision();
  MemberSet cohort = MemberSet::Of(current.cohort_members());
  RuleWrite write;
  for (const pb::ID& id : request.standby_ids()) {
    auto member = multigres::consensus::CheckedMemberText(id);
    if (!member) return std::unexpected(std::move(member.error()));
    if (request.operation() == RULE_OPERATION_COHORT_ADD) cohort.Insert(*member);
    if (request.operation() != RULE_OPERATION_COHORT_REMOVE) continue;
    if (SameMember(id, current.leader_id())) return Fail(Code::kInvalidArgument, "the leader can't be removed");
    cohort.Erase(*member);
  }
  switch (request.operation()) {
    case RULE_OPERATION_COHORT_ADD:
      write.commit.operation = "add";
      break;
    case RULE_OPERATION_COHORT_REMOVE:
      write.commit.operation = "remove";
      break;
    case RULE_OPERATION_ADVANCE:
      write.commit.operation = "advance";
      break;
    default:
      return Fail(Code::kInvalidArgument, "unknown rule operation");
  }
  auto achievable = multigres::consensus::CheckAchievable(current.durability_policy(), cohort);
  if (!achievable) return std::unexpected(std::move(achievable.error()));
  write.commit.expected = state_.position.position();
  write.commit.rule = current;
  write.commit.rule.clear_cohort_members();
  for (const std::string& member : cohort) {
    auto id = multigres::consensus::ParseMember(member);
    if (!id) return std::unexpected(std::move(id.error()));
    *write.commit.rule.add_cohort_members() = *id;
  }
  *write.commit.rule.mutable_rule_number() = multigres::consensus::MakeRuleNumber(
      current.rule_number().coordinator_term(), current.rule_number().leader_subterm() + 1);
  *write.commit.rule.mutable_coordinator_id() = request.coordinator_id();
  const auto now = std::chrono::floor<std::chrono::microseconds>(clock().WallNow().time_since_epoch());
  write.commit.rule.mutable_creation_time()->set_seconds(now.count() / 1000000);
  write.commit.rule.mutable_creation_time()->set_nanos(static_cast<std::int32_t>(now.count() % 1000000) * 1000);
  write.commit.event_type = "replication_config";
  write.commit.reason = write.commit.operation;
  return write;
}

Awaitable<Result<pb::PoolerPosition>> Agent::UpdateConsensusRule(
    ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) {
  auto lock = co_await Lock("update rule", deadline);
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  deadline = clock().After(seconds(60));
  auto observed = co_await Observe(deadline);
  if (!observed) co_return Fail(std::move(observed), "own position");
  const pb::RulePosition& own = state_.position.position();
  if (state_.server->in_recovery) co_return std::unexpected(NotPromotable("this member's PostgreSQL is not a primary"));
  if (HasProposal(own)) {
    co_return std::unexpected(NotPromotable("undecided proposal " + RuleNumberText(own.proposal().rule_number())));
  }
  if (own.decision().cohort_members().empty()) {
    co_return std::unexpected(NotPromotable("empty cohort -- shard bootstrap needed"));
  }
  if (!IsWritableLeader()) {
    co_return std::unexpected(
        NotPromotable("this member doesn't lead by rule " + RuleNumberText(own.decision().rule_number())));
  }
  const bool asked = SameNumber(own.decision().rule_number(), request.expected_outgoing_rule());
  if (!asked && multigres::consensus::Enforced(multigres::consensus::SafetyRule::kRuleNumberAsked)) {
    co_return std::unexpected(NotPromotable(fmt::format("rule conflict: current rule is {}, expected {}",
                                                        RuleNumberText(own.decision().rule_number()),
                                                        RuleNumberText(request.expected_outgoing_rule()))));
  }
  auto write = CohortChange(request);
  if (!write) co_return std::unexpected(std::move(write.error()));
  const bool same_cohort =
      MemberSet::Of(write->commit.rule.cohort_members()) == MemberSet::Of(own.decision().cohort_members());
  if (same_cohort && request.operation() != ::multipoolermanagerdata::RULE_OPERATION_ADVANCE) co_return state_.position;
  auto installed = co_await InstallRule(std::move(*write), false, deadline);
  if (installed && state_.recorded_primary) {
    *state_.recorded_primary->mutable_position() = state_.position.position();
  }
  co_await host_.OnConsensusChanged();
  if (!installed) co_return std::unexpected(std::move(installed.error()));
  co_return state_.position;
}

}  // namespace multigres::pooler::consensus
