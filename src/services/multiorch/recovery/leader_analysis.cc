#include "services/multiorch/recovery/leader_analysis.h"

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/wall_time.h"

namespace multigres::orch {
namespace {

using ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;

bool Fresh(const AnalysisInput& input, const PoolerView& pooler) {
  return IsFresh(pooler, input.now, input.thresholds);
}

// Heard at all within the limit, connected or not. Never heard counts from when it became known.
bool HeardWithin(const AnalysisInput& input, const PoolerView& pooler, Duration limit) {
  return input.now.steady - pooler.last_heard.value_or(pooler.known_since) <= limit;
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

// What a leader that is heard says about itself; nullopt if all is well.
std::optional<Problem> JudgeHeardLeader(const AnalysisInput& input, const PoolerView& leader) {
  const auto& postgres = leader.postgres();
  if (!postgres.postgres_ready()) {
    const bool answered_lately =
        leader.last_ready && input.now.steady - *leader.last_ready <= input.thresholds.leader_response;
    if (MayStillBePromoting(input) || (postgres.postgres_running() && answered_lately)) return std::nullopt;
    return Problem{ProblemCode::kLeaderUnhealthy, ActionKind::kAppointLeader, "",
                   fmt::format("leader {}: PostgreSQL is {}", leader.member,
                               postgres.postgres_running() ? "running but not ready" : "not running")};
  }
  if (MayStillBePromoting(input)) return std::nullopt;
  if (postgres.postgres_status() != POSTGRES_STATUS_PRIMARY) {
    return Problem{ProblemCode::kLeaderUnhealthy, ActionKind::kAppointLeader, "",
                   fmt::format("leader {}: PostgreSQL is in recovery", leader.member)};
  }
  if (PromotionUnfinished(input.facts)) {
    return Problem{ProblemCode::kLeaderUnhealthy, ActionKind::kAppointLeader, "",
                   fmt::format("leader {}: promotion under rule {} was never decided", leader.member,
                               consensus::RuleNumberText(input.facts.rule().rule_number()))};
  }
  if (postgres.pooler_type() == ::clustermetadata::REPLICA && leader.last_not_withheld &&
      input.now.steady - *leader.last_not_withheld > input.thresholds.promotion) {
    return Problem{ProblemCode::kLeaderUnhealthy, ActionKind::kAppointLeader, "",
                   fmt::format("leader {} runs as primary, but admits no writes", leader.member)};
  }
  return std::nullopt;
}

// Members that would stream from the leader if it were there, and provably don't (or stream, while the heartbeat that
// its pooler writes stands still): enough of them revoke its policy. One that streams with a live heartbeat refutes it.
std::optional<Problem> JudgeUnheardLeader(const AnalysisInput& input) {
  const ShardFacts& facts = input.facts;
  consensus::MemberSet cut_off;
  bool streaming = false;
  for (const PoolerView& pooler : input.view.poolers) {
    if (pooler.member == facts.leader || !facts.cohort.Contains(pooler.member) || !Fresh(input, pooler)) continue;
    const auto& recorded = pooler.consensus().replication_primary().primary();
    const bool configured = consensus::SameMember(recorded.id(), facts.rule().leader_id());
    if (HasStreamingProof(pooler, input.thresholds)) {
      if (SeesHeartbeat(pooler, input.thresholds)) streaming = true;
      cut_off.Insert(pooler.member);
    } else if (configured || IsSelfRevoked(facts, pooler)) {
      cut_off.Insert(pooler.member);
    }
  }
  const auto revokes = consensus::CheckRecruitment(facts.rule().durability_policy(), facts.cohort, cut_off);
  if (!streaming && revokes && !MayStillBePromoting(input)) {
    return Problem{ProblemCode::kLeaderUnreachableByCohort, ActionKind::kAppointLeader, "",
                   fmt::format("leader {} is not heard, and [{}] see no sign of it", facts.leader, cut_off.Text())};
  }
  return Problem{ProblemCode::kLeaderHealthUnknown, ActionKind::kNone, "",
                 fmt::format("leader {} is not heard: no proof that it is gone", facts.leader)};
}

std::optional<Problem> JudgeLeader(const AnalysisInput& input) {
  const ShardFacts& facts = input.facts;
  const PoolerView* leader = facts.leader_pooler;
  if (facts.leader.empty()) {
    return Problem{ProblemCode::kLeaderUnspecified, ActionKind::kAppointLeader, "",
                   fmt::format("rule {} names no leader", consensus::RuleNumberText(facts.rule().rule_number()))};
  }
  if (leader != nullptr && IsResigning(facts, *leader)) {
    return Problem{ProblemCode::kLeaderResigned, ActionKind::kAppointLeader, "",
                   fmt::format("leader {} {}", leader->member,
                               leader->tombstoned      ? "was shut down"
                               : IsIneligible(*leader) ? "is ineligible"
                                                       : "asks to be demoted")};
  }
  if (leader == nullptr && WatchedFor(input) <= input.thresholds.unheard) return std::nullopt;  // perhaps not found yet
  if (leader == nullptr || !HeardWithin(input, *leader, input.thresholds.unheard)) return JudgeUnheardLeader(input);
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

bool RuleIsYounger(const AnalysisInput& input, Duration age) {
  const Duration since = input.now.wall - consensus::FromTimestamp(input.facts.rule().creation_time());
  return since < age && since > -age;
}

Duration WatchedFor(const AnalysisInput& input) {
  TimePoint since = input.now.steady;
  for (const PoolerView& pooler : input.view.poolers) since = std::min(since, pooler.known_since);
  return input.now.steady - since;
}

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
