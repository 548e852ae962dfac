#include "services/multiorch/recovery/failover_log.h"

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/wall_time.h"
#include "services/multiorch/health/health_board.h"

namespace multigres::orch {
namespace {

// What reached a follower from the old leader this soon after the detection may have been on its way.
constexpr Duration kInFlight = std::chrono::milliseconds(300);
// A heartbeat of the new leader is its own if it is younger.
constexpr Duration kRecent = StallMeter::kLongestStep;

bool IsLeaderProblem(const Problem& problem) {
  switch (problem.code) {
    case ProblemCode::kLeaderUnspecified:
    case ProblemCode::kLeaderResigned:
    case ProblemCode::kLeaderUnhealthy:
    case ProblemCode::kLeaderUnreachableByCohort:
    case ProblemCode::kLeaderStuck:
      return true;
    default:
      return false;
  }
}

std::int64_t TermOf(const ::clustermetadata::RuleNumber& number) {
  return number.coordinator_term();
}

std::optional<WallTime> LastSign(const PoolerView* leader, const Moment& now) {
  if (leader == nullptr || !leader->last_heard) return std::nullopt;
  return now.wall - (now.steady - *leader->last_heard) - leader->answer_stall.value_or(Duration::zero());
}

// A follower still replays what the old leader has written after it was given up.
bool SawLeaderAfter(const AnalysisInput& input, WallTime detected) {
  return std::ranges::any_of(input.view.poolers, [&](const PoolerView& pooler) {
    const auto& replication = pooler.postgres().replication_status();
    if (!IsStreaming(pooler) || !replication.has_leader_heartbeat_advanced_at()) return false;
    const WallTime advanced = consensus::FromTimestamp(replication.leader_heartbeat_advanced_at()) -
                              pooler.clock_offset.value_or(Duration::zero());
    return advanced > detected + kInFlight;
  });
}

bool Follows(const AnalysisInput& input, const PoolerView& pooler) {
  return IsStreaming(pooler) && consensus::CompareRules(pooler.rules(), input.facts.rules) == 0;
}

// "" if either is unknown.
std::string Between(const std::optional<WallTime>& from, const std::optional<WallTime>& to) {
  if (!from || !to) return "";
  return fmt::format("{}ms", std::chrono::floor<std::chrono::milliseconds>(*to - *from).count());
}

}  // namespace

void FailoverLog::Observe(const AnalysisInput& input, const std::vector<Problem>& problems) {
  const std::string shard = ShardName(input.view.key);
  auto problem = std::ranges::find_if(problems, IsLeaderProblem);
  auto at = open_.find(shard);
  if (at != open_.end()) {
    Open& open = at->second;
    Follow(open, input);
    const std::int64_t term = TermOf(input.facts.rule().rule_number());
    const bool replaced = open.timeline.rule_written.has_value();
    const bool over = replaced
                          ? open.timeline.old_leader_back && open.reported
                          : !open.attempting && problem == problems.end() && term <= TermOf(open.timeline.old_rule);
    const bool again = replaced && problem != problems.end() && term >= TermOf(open.timeline.new_rule);
    if (!over && !again) return;
    if (replaced) {
      Close(shard);
    } else {
      open_.erase(at);
    }
  }
  if (problem != problems.end()) Begin(input, *problem);
}

void FailoverLog::Begin(const AnalysisInput& input, const Problem& problem) {
  FailoverTimeline timeline{.shard = input.view.key,
                            .reason = problem.code,
                            .description = problem.description,
                            .old_leader = input.facts.leader,
                            .old_rule = input.facts.rule().rule_number()};
  timeline.last_sign = LastSign(input.facts.leader_pooler, input.now);
  timeline.detected = input.now.wall;
  open_[ShardName(input.view.key)] = {.timeline = std::move(timeline)};
}

void FailoverLog::Attempt(const std::string& shard, WallTime now) {
  auto at = open_.find(shard);
  if (at == open_.end()) return;
  at->second.attempting = true;
  ++at->second.timeline.attempts;
  at->second.timeline.started = now;
}

void FailoverLog::Conclude(const std::string& shard, const RuleChange& change) {
  auto at = open_.find(shard);
  if (at == open_.end()) return;
  at->second.attempting = false;
  FailoverTimeline& timeline = at->second.timeline;
  timeline.recruited = change.recruited_at;
  if (!change.rule) return;
  timeline.new_leader = consensus::MemberText(change.rule->leader_id());
  timeline.new_rule = change.rule->rule_number();
  timeline.coordinator = consensus::MemberText(change.rule->coordinator_id());
  if (!timeline.rule_written) timeline.rule_written = change.decided_at;
}

void FailoverLog::Follow(Open& open, const AnalysisInput& input) {
  FailoverTimeline& timeline = open.timeline;
  const ShardFacts& facts = input.facts;
  const bool resigned = timeline.reason == ProblemCode::kLeaderResigned;
  if (!timeline.rule_written && timeline.attempts > 0 && !resigned && SawLeaderAfter(input, *timeline.detected)) {
    timeline.needless = true;
  }
  if (TermOf(facts.rule().rule_number()) <= TermOf(timeline.old_rule)) return;
  const bool promoted = facts.leader_pooler != nullptr && facts.leader_pooler->postgres().has_primary_status();
  if (!timeline.promoted && promoted && !timeline.rule_written) timeline.promoted = input.now.wall;
  const ::clustermetadata::ShardRule& decision = facts.rules.decision();
  if (!timeline.rule_written && TermOf(decision.rule_number()) > TermOf(timeline.old_rule)) {
    timeline.new_leader = consensus::MemberText(decision.leader_id());
    timeline.new_rule = decision.rule_number();
    timeline.coordinator = consensus::MemberText(decision.coordinator_id());
    timeline.rule_written = input.now.wall;
  }
  if (!timeline.rule_written) return;
  if (!timeline.promoted) timeline.promoted = timeline.rule_written;
  if (facts.leader == timeline.new_leader) FollowNewLeader(timeline, input);
  if (timeline.Settled() && !std::exchange(open.reported, true)) Report(timeline);
}

void FailoverLog::FollowNewLeader(FailoverTimeline& timeline, const AnalysisInput& input) {
  const PoolerView* leader = input.facts.leader_pooler;
  if (leader != nullptr && !timeline.first_write && leader->write_stall && *leader->write_stall < kRecent &&
      TermOf(leader->status_rules.decision()) >= TermOf(timeline.new_rule)) {
    timeline.first_write = input.now.wall;
  }
  const PoolerView* old = input.view.Find(timeline.old_leader);
  const bool old_is_back = old != nullptr && (old == leader || Follows(input, *old));
  if (!timeline.old_leader_back && old_is_back) timeline.old_leader_back = input.now.wall;
  if (timeline.followers_attached) return;
  int there = 0;
  for (const PoolerView& pooler : input.view.poolers) {
    if (&pooler == leader || &pooler == old || !input.facts.cohort.Contains(pooler.member)) continue;
    if (!IsFresh(pooler, input.now, input.thresholds)) continue;
    ++there;
    if (!Follows(input, pooler)) return;
  }
  // With nobody else in the cohort it is the old leader that the new one waits for.
  if (there > 0 || old_is_back) timeline.followers_attached = input.now.wall;
}

void FailoverLog::Close(const std::string& shard) {
  closed_.push_front(std::move(open_.at(shard).timeline));
  if (closed_.size() > kKept) closed_.pop_back();
  open_.erase(shard);
}

void FailoverLog::Report(const FailoverTimeline& timeline) {
  logger_.Info("failover", {{"shard", ShardName(timeline.shard)},
                            {"reason", CodeText(timeline.reason)},
                            {"old_leader", timeline.old_leader},
                            {"new_leader", timeline.new_leader},
                            {"rule", consensus::RuleNumberText(timeline.new_rule)},
                            {"coordinator", timeline.coordinator},
                            {"attempts", timeline.attempts},
                            {"detection", Between(timeline.last_sign, timeline.detected)},
                            {"wait", Between(timeline.detected, timeline.started)},
                            {"recruit", Between(timeline.started, timeline.recruited)},
                            {"promote", Between(timeline.recruited, timeline.promoted)},
                            {"rule_write", Between(timeline.promoted, timeline.rule_written)},
                            {"first_write", Between(timeline.rule_written, timeline.first_write)},
                            {"followers", Between(timeline.rule_written, timeline.followers_attached)},
                            {"total", Between(timeline.detected, timeline.rule_written)},
                            {"needless", timeline.needless}});
  if (listener_) listener_(timeline);
}

std::vector<FailoverTimeline> FailoverLog::Timelines() const {
  std::vector<FailoverTimeline> timelines;
  timelines.reserve(open_.size() + closed_.size());
  for (const auto& [shard, open] : open_) timelines.push_back(open.timeline);
  timelines.insert(timelines.end(), closed_.begin(), closed_.end());
  return timelines;
}

}  // namespace multigres::orch
