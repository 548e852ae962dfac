#include "services/multiorch/recovery/leader_analysis.h"

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "services/multiorch/recovery/testimony.h"

namespace multigres::orch {
namespace {

using ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;

// A leader without a record isn't missed before discovery has had time to find it.
constexpr Duration kDiscovery = std::chrono::seconds(15);

bool Fresh(const AnalysisInput& input, const PoolerView& pooler) {
  return IsFresh(pooler, input.now, input.thresholds);
}

// Heard at all within the limit, connected or not. Never heard counts from when it became known.
bool HeardWithin(const AnalysisInput& input, const PoolerView& pooler, Duration limit) {
  return input.now.steady - pooler.last_heard.value_or(pooler.known_since) <= limit;
}

Problem ReplaceLeader(ProblemCode code, std::string description, bool first_hand = false) {
  return {code, ActionKind::kAppointLeader, "", std::move(description), first_hand};
}

// Somebody may still be carrying the rule in force out.
bool MayStillBePromoting(const AnalysisInput& input) {
  const auto& number = input.facts.rule().rule_number();
  return number.leader_subterm() == 0 && number.coordinator_term() > input.view.abandoned_term &&
         RuleIsYounger(input, input.thresholds.promotion);
}

bool PromotionUnfinished(const ShardFacts& facts) {
  return consensus::HasProposal(facts.rules) && facts.rules.proposal().rule_number().leader_subterm() == 0;
}

// Its process isn't there, says a pooler that has seen it answer before. One that has only just started may not have
// looked yet: it gets the grace of a restarting pooler.
bool IsDown(const AnalysisInput& input, const PoolerView& leader) {
  if (leader.postgres().postgres_running()) return false;
  const TimePoint last_ready = leader.last_ready.value_or(leader.known_since);
  return leader.postgres().has_last_answer_time() || input.now.steady - last_ready > input.thresholds.leader_pooler;
}

// It led by the rule in force and is in recovery now: its own WAL holds that rule, so it can't be on its way there.
bool CameBackInRecovery(const AnalysisInput& input, const PoolerView& leader) {
  const bool standby = leader.postgres().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_STANDBY;
  const bool led = consensus::CompareRules(leader.status_rules, consensus::Numbers(input.facts.rules)) == 0;
  return (standby && led) || !MayStillBePromoting(input);
}

// Its process runs, its pooler reports, and nothing has come out of it for a while: frozen, if no follower sees it
// move. Writes alone may also wait for standbys, which another leader would wait for too: then one has to stream. And a
// new leader's first checkpoint may keep its disk busy for a while.
bool IsFrozen(const AnalysisInput& input, const PoolerView& leader) {
  const Duration stall = input.thresholds.stall;
  const bool silent = leader.answer_stall.value_or(Duration::zero()) >= stall;
  const bool writeless =
      leader.write_stall.value_or(Duration::zero()) >= stall && !RuleIsYounger(input, input.thresholds.promotion);
  if (!silent && !writeless) return false;
  const Testimony testimony = Testify(input, stall);
  return testimony.seeing.empty() && (silent || !testimony.standing_still.empty());
}

// Ready, and yet nothing is committed: its own heartbeat isn't, though WAL moves; or its heartbeat is, and reaches
// nobody of those who believe to stream from it.
std::optional<std::string> WhyStuck(const AnalysisInput& input, const PoolerView& leader) {
  if (RuleIsYounger(input, input.thresholds.stuck_again)) return std::nullopt;
  const Testimony testimony = Testify(input, input.thresholds.stuck);
  if (leader.write_stall.value_or(Duration::zero()) >= input.thresholds.stuck && !testimony.seeing.empty()) {
    return "has committed nothing, though its WAL moves";
  }
  const bool writes = leader.write_stall && *leader.write_stall < input.thresholds.stall;
  if (writes && !testimony.standing_still.empty() && testimony.Revokes(input)) {
    return fmt::format("is ready, but nothing of it reaches [{}]", testimony.standing_still.Text());
  }
  return std::nullopt;
}

// What its writes wait for. A follower may show a decision that its leader doesn't: it hasn't been acknowledged.
const ::clustermetadata::RulePosition& RulesInForce(const ShardFacts& facts, const PoolerView& leader) {
  const auto& own = leader.consensus().current_position().position();
  return consensus::HasProposal(own) ? own : facts.rules;
}

// Whoever could acknowledge its writes has promised a later term to an attempt that came to nothing. Advancing the rule
// would free them, but that is a write, too; and an open rule can't be advanced.
std::optional<std::string> WhyForsaken(const AnalysisInput& input, const PoolerView& leader) {
  const ShardFacts& facts = input.facts;
  if (RuleIsYounger(input, input.thresholds.abandoned_recruit)) return std::nullopt;
  consensus::MemberSet streaming;
  consensus::MemberSet promised;
  for (const PoolerView& pooler : input.view.poolers) {
    if (pooler.member == leader.member) continue;
    if (IsSelfRevoked(facts, pooler)) {
      const bool member = facts.cohort.Contains(pooler.member);
      if (member && PromiseIsAbandoned(input, pooler)) promised.Insert(pooler.member);
    } else if (Fresh(input, pooler) && IsStreaming(pooler)) {
      streaming.Insert(pooler.member);
    }
  }
  if (promised.empty()) return std::nullopt;
  const auto acknowledged = [&](const ::clustermetadata::ShardRule& rule) {
    const auto cohort = consensus::MemberSet::Of(rule.cohort_members());
    return consensus::IsDurable(rule.durability_policy(), cohort, leader.member, streaming);
  };
  // An open rule needs both.
  const auto& rules = RulesInForce(facts, leader);
  const bool open = consensus::HasProposal(rules);
  if (acknowledged(facts.rule()) && (!open || acknowledged(rules.decision()))) return std::nullopt;
  return fmt::format("can't commit under rule {}: [{}] have promised a later term",
                     consensus::RuleNumberText(facts.rule().rule_number()), promised.Text());
}

// It was cut off, or gave up, between the proposal of a change and its decision. Nobody decides it any more, writes
// wait for both cohorts, and no other change, nor an advance, gets past it; the next leader carries it over.
std::optional<std::string> WhyLeftOpen(const AnalysisInput& input, const PoolerView& leader) {
  if (!consensus::HasProposal(RulesInForce(input.facts, leader))) return std::nullopt;
  if (RuleIsYounger(input, input.thresholds.open_rule)) return std::nullopt;
  return fmt::format("has left rule {} undecided", consensus::RuleNumberText(input.facts.rule().rule_number()));
}

// A leader that doesn't say that it is ready.
std::optional<Problem> JudgeUnreadyLeader(const AnalysisInput& input, const PoolerView& leader) {
  const bool running = leader.postgres().postgres_running();
  const bool answered_lately =
      !leader.last_ready || input.now.steady - *leader.last_ready <= input.thresholds.leader_response;
  const bool given_up = !answered_lately && !MayStillBePromoting(input);
  if (running ? !IsFrozen(input, leader) && !given_up : !IsDown(input, leader)) return std::nullopt;
  return ReplaceLeader(
      ProblemCode::kLeaderUnhealthy,
      fmt::format("leader {}: PostgreSQL is {}", leader.member, running ? "running but doesn't answer" : "not running"),
      !running);
}

// What a leader that is heard says about itself; nullopt if all is well.
std::optional<Problem> JudgeHeardLeader(const AnalysisInput& input, const PoolerView& leader) {
  const auto& postgres = leader.postgres();
  if (!postgres.postgres_ready()) return JudgeUnreadyLeader(input, leader);
  if (postgres.postgres_status() != POSTGRES_STATUS_PRIMARY) {
    if (!CameBackInRecovery(input, leader)) return std::nullopt;
    return ReplaceLeader(ProblemCode::kLeaderUnhealthy,
                         fmt::format("leader {}: PostgreSQL is in recovery", leader.member), true);
  }
  if (IsFrozen(input, leader)) {
    return ReplaceLeader(ProblemCode::kLeaderUnhealthy,
                         fmt::format("leader {}: PostgreSQL is frozen, or its disk", leader.member));
  }
  if (MayStillBePromoting(input)) return std::nullopt;
  if (PromotionUnfinished(input.facts)) {
    return ReplaceLeader(ProblemCode::kLeaderUnhealthy,
                         fmt::format("leader {}: promotion under rule {} was never decided", leader.member,
                                     consensus::RuleNumberText(input.facts.rule().rule_number())));
  }
  if (postgres.pooler_type() == ::clustermetadata::REPLICA && leader.last_not_withheld &&
      input.now.steady - *leader.last_not_withheld > input.thresholds.promotion) {
    return ReplaceLeader(ProblemCode::kLeaderUnhealthy,
                         fmt::format("leader {} runs as primary, but admits no writes", leader.member));
  }
  auto why = WhyStuck(input, leader);
  if (!why) why = WhyForsaken(input, leader);
  if (!why) why = WhyLeftOpen(input, leader);
  if (why) {
    return ReplaceLeader(ProblemCode::kLeaderStuck, fmt::format("leader {} {}", leader.member, *why));
  }
  return std::nullopt;
}

// Nobody here hears it: its followers decide. If its stream was lost, its host may be there and its pooler coming back;
// a stream that merely fell silent leaves only a host that is cut off, or a pooler that is frozen.
std::optional<Problem> JudgeUnheardLeader(const AnalysisInput& input) {
  const ShardFacts& facts = input.facts;
  const bool lost = facts.leader_pooler == nullptr || !facts.leader_pooler->stream_connected;
  const Thresholds& thresholds = input.thresholds;
  const Testimony testimony =
      Testify(input, lost ? std::max(thresholds.stall, thresholds.leader_pooler) : thresholds.stall);
  const bool promoting = PromotionUnfinished(facts) && MayStillBePromoting(input);
  if (testimony.Revokes(input) && !promoting) {
    return ReplaceLeader(ProblemCode::kLeaderUnreachableByCohort,
                         fmt::format("leader {} is not heard; cut off from it: [{}], seeing no sign of it: [{}]",
                                     facts.leader, testimony.cut_off.Text(), testimony.standing_still.Text()));
  }
  return Problem{ProblemCode::kLeaderHealthUnknown, ActionKind::kNone, "",
                 fmt::format("leader {} is not heard: no proof that it is gone", facts.leader)};
}

// It is on its way out, and its PostgreSQL isn't yet: whoever is recruited now would miss the last of its WAL, and it
// would have to be rewound.
bool IsSteppingDown(const AnalysisInput& input, const PoolerView& leader) {
  if (!Fresh(input, leader) || !HeardWithin(input, leader, input.thresholds.Unheard())) return false;
  const std::optional<TimePoint> since = leader.resigning_since ? leader.resigning_since : leader.ineligible_since;
  if (!since || input.now.steady - *since > input.thresholds.demotion) return false;
  return IsIneligible(leader) ? leader.postgres().postgres_running() : IsRunningAsPrimary(leader);
}

std::optional<Problem> JudgeLeader(const AnalysisInput& input) {
  const ShardFacts& facts = input.facts;
  const PoolerView* leader = facts.leader_pooler;
  if (facts.leader.empty()) {
    return ReplaceLeader(ProblemCode::kLeaderUnspecified,
                         fmt::format("rule {} names no leader", consensus::RuleNumberText(facts.rule().rule_number())));
  }
  if (leader != nullptr && IsResigning(facts, *leader)) {
    if (IsSteppingDown(input, *leader)) return std::nullopt;
    return ReplaceLeader(ProblemCode::kLeaderResigned,
                         fmt::format("leader {} {}", leader->member,
                                     leader->tombstoned      ? "was shut down"
                                     : IsIneligible(*leader) ? "is ineligible"
                                                             : "asks to be demoted"),
                         true);
  }
  if (leader == nullptr && WatchedFor(input) <= kDiscovery) return std::nullopt;  // perhaps not found yet
  if (leader == nullptr || !HeardWithin(input, *leader, input.thresholds.Unheard())) return JudgeUnheardLeader(input);
  if (leader->status == nullptr) return std::nullopt;  // just found
  auto unwell = JudgeHeardLeader(input, *leader);
  // Bad news from before its stream broke may be old news: then its followers decide.
  return unwell && !leader->stream_connected ? JudgeUnheardLeader(input) : unwell;
}

// Alerts about what an appointment, now or after the next loss, would find.
void AnalyseFeasibility(const AnalysisInput& input, bool appointing, std::vector<Problem>& problems) {
  const ShardFacts& facts = input.facts;
  const auto& policy = facts.rule().durability_policy();
  consensus::MemberSet healthy;
  for (const PoolerView& pooler : input.view.poolers) {
    if (Fresh(input, pooler) && !IsIneligible(pooler) && facts.cohort.Contains(pooler.member) &&
        pooler.postgres().postgres_ready()) {
      healthy.Insert(pooler.member);
    }
  }
  if (healthy.empty()) {
    problems.push_back({ProblemCode::kNoHealthyCohortMembers, ActionKind::kNone, "",
                        fmt::format("no member of cohort [{}] is heard and ready", facts.cohort.Text())});
    return;
  }
  if (appointing) return;
  if (auto feasible = consensus::CheckFeasible(policy, facts.cohort, healthy); !feasible) {
    problems.push_back({ProblemCode::kShardStuck, ActionKind::kNone, "",
                        fmt::format("no leader could be appointed: {}", feasible.error().message())});
  }
  for (const std::string& lost : healthy) {
    consensus::MemberSet rest = healthy;
    rest.Erase(lost);
    if (consensus::CheckFeasible(policy, facts.cohort, rest)) continue;
    problems.push_back({ProblemCode::kShardAtRisk, ActionKind::kNone, "",
                        fmt::format("the loss of {} could not be recovered from", lost)});
    return;
  }
}

}  // namespace

Result<consensus::MemberSet> InitialCohort(const AnalysisInput& input) {
  consensus::MemberSet cohort;
  std::string system_identifier;
  for (const PoolerView& pooler : input.view.poolers) {
    const auto& status = pooler.postgres();
    if (!Fresh(input, pooler) || IsIneligible(pooler) || !status.is_initialized() || !status.postgres_ready()) continue;
    if (!consensus::LsnOrLowest(pooler.consensus().current_position().lsn())) continue;
    if (consensus::IsNoRule(pooler.rules().decision().rule_number())) continue;
    if (!system_identifier.empty() && status.system_identifier() != system_identifier) {
      return Fail(Code::kFailedPrecondition,
                  fmt::format("initialized poolers have different data: system identifiers {} and {}",
                              system_identifier, status.system_identifier()));
    }
    system_identifier = status.system_identifier();
    cohort.Insert(pooler.member);
  }
  if (!input.view.bootstrap_policy) return Fail(Code::kFailedPrecondition, "bootstrap policy is not known yet");
  auto achievable = consensus::CheckAchievable(*input.view.bootstrap_policy, cohort);
  if (!achievable) return std::unexpected(std::move(achievable.error()));
  return cohort;
}

void AnalyseInitialization(const AnalysisInput& input, std::vector<Problem>& problems) {
  auto cohort = InitialCohort(input);
  problems.push_back({ProblemCode::kShardNeedsInitialization, cohort ? ActionKind::kShardInit : ActionKind::kNone, "",
                      cohort ? fmt::format("no rule yet; initialized poolers: [{}]", cohort->Text())
                             : fmt::format("no rule yet, waiting: {}", cohort.error().message())});
}

void AnalyseLeader(const AnalysisInput& input, std::vector<Problem>& problems) {
  auto problem = JudgeLeader(input);
  const bool appointing = problem && problem->action == ActionKind::kAppointLeader;
  if (appointing) {
    const auto candidates = CandidatesOf(input.view, input.facts, input.now, input.thresholds);
    auto plan = consensus::Plan(candidates, input.self, input.now.wall);
    if (!plan) {
      problem->action = ActionKind::kNone;
      problems.push_back({ProblemCode::kShardStuck, ActionKind::kNone, "",
                          fmt::format("no leader can be appointed: {}", plan.error().message())});
    }
  }
  if (problem) problems.push_back(std::move(*problem));
  AnalyseFeasibility(input, appointing, problems);
}

}  // namespace multigres::orch
