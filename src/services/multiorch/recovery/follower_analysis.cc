#include "services/multiorch/recovery/follower_analysis.h"

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/wall_time.h"

namespace multigres::orch {
namespace {

// Why a standby doesn't replicate; empty if it does or might in a moment.
std::string NotReplicating(const PoolerView& pooler) {
  const auto& replication = pooler.postgres().replication_status();
  if (replication.primary_conn_info().host().empty()) return "has no primary_conninfo";
  if (replication.is_wal_replay_paused()) return "has replay paused";
  const std::string& receiver = replication.wal_receiver_status();
  if (receiver == "streaming" || receiver == "waiting") return "";
  return fmt::format("has a receiver that is {}", receiver.empty() ? "absent" : receiver);
}

bool ClaimsLeadership(const PoolerView& pooler) {
  return pooler.postgres().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;
}

bool PromiseIsAbandoned(const AnalysisInput& input, const PoolerView& pooler) {
  const auto& promise = pooler.consensus().term_revocation();
  const Duration age = input.now.wall - consensus::FromTimestamp(promise.coordinator_initiated_at());
  return age > input.thresholds.abandoned_recruit || age < -input.thresholds.abandoned_recruit;
}

bool Recruitable(const PoolerView& pooler) {
  const auto& status = pooler.consensus();
  const auto* floor = status.has_recruit_blocked_until() ? &status.recruit_blocked_until() : nullptr;
  return !IsIneligible(pooler) && consensus::LsnOrLowest(status.current_position().lsn()).has_value() &&
         !consensus::IsFloorOutstanding(status.current_position(), floor) &&
         !pooler.availability().suspected_divergence();
}

class FollowerAnalysis {
 public:
  FollowerAnalysis(const AnalysisInput& input, std::vector<Problem>& problems)
      : input_(input), facts_(input.facts), problems_(problems) {}

  void Run() {
    const PoolerView* leader = facts_.leader_pooler;
    leader_serves_ =
        leader != nullptr && IsFresh(*leader, input_.now, input_.thresholds) && IsServingLeader(facts_, *leader);
    rule_open_ = consensus::HasProposal(facts_.rules);
    for (const PoolerView& pooler : input_.view.poolers) {
      if (pooler.member != facts_.leader) Judge(pooler);
    }
    if (leader_serves_ && !rule_open_) JudgeUntrackedMembers();
  }

 private:
  void Judge(const PoolerView& pooler) {
    const bool member = facts_.cohort.Contains(pooler.member);
    if (!IsFresh(pooler, input_.now, input_.thresholds)) {
      if (member && leader_serves_ && !rule_open_ && pooler.tombstoned) JudgeTombstone(pooler);
      return;
    }
    if (ClaimsLeadership(pooler)) {
      return Add(ProblemCode::kStaleLeader, leader_serves_ ? ActionKind::kDemoteStaleLeader : ActionKind::kNone, pooler,
                 fmt::format("runs as primary, but the rule names {}", facts_.leader));
    }
    if (!leader_serves_ || !pooler.postgres().postgres_ready()) return;
    if (IsSelfRevoked(facts_, pooler)) {
      if (!rule_open_ && PromiseIsAbandoned(input_, pooler)) {
        Add(ProblemCode::kReplicaRecruitAbandoned, ActionKind::kAdvance, pooler,
            fmt::format("promised term {}, which nobody pursues",
                        pooler.consensus().term_revocation().revoked_below_term()));
      }
      return;
    }
    if (const std::string why = NotReplicating(pooler); !why.empty()) {
      // Everybody is on the way to a leader of this moment: they are told to follow anyway.
      if (RuleIsYounger(input_, input_.thresholds.attach)) return;
      return Add(ProblemCode::kReplicaNotReplicating, ActionKind::kFixReplication, pooler, why);
    }
    if (rule_open_) return;
    if (!member && IsStreaming(pooler) && Recruitable(pooler)) {
      return Add(ProblemCode::kPoolerNotInCohort, ActionKind::kAddToCohort, pooler,
                 "streams, but is not in the cohort");
    }
    if (member && IsIneligible(pooler)) JudgeRemoval(pooler.member, "is ineligible");
  }

  void JudgeTombstone(const PoolerView& pooler) {
    if (input_.now.steady - pooler.tombstoned_since < input_.thresholds.tombstone_settle) return;
    consensus::MemberSet rest = facts_.cohort;
    rest.Erase(pooler.member);
    const bool possible = consensus::CheckAchievable(facts_.rule().durability_policy(), rest).has_value();
    Add(ProblemCode::kCohortMemberIneligible, possible ? ActionKind::kRemoveFromCohort : ActionKind::kNone, pooler,
        "was shut down");
  }

  void JudgeUntrackedMembers() {
    if (WatchedFor(input_) <= input_.thresholds.unheard) return;
    for (const std::string& member : facts_.cohort) {
      if (input_.view.Find(member) == nullptr) JudgeRemoval(member, "is not in the topology");
    }
  }

  // Safe iff what stays, without its leader, could still recruit.
  void JudgeRemoval(const std::string& member, std::string why) {
    consensus::MemberSet rest = facts_.cohort;
    rest.Erase(member);
    consensus::MemberSet without_leader = rest;
    without_leader.Erase(facts_.leader);
    const bool safe = consensus::CheckFeasible(facts_.rule().durability_policy(), rest, without_leader).has_value();
    problems_.push_back({ProblemCode::kCohortMemberIneligible, safe ? ActionKind::kRemoveFromCohort : ActionKind::kNone,
                         member, std::move(why)});
  }

  void Add(ProblemCode code, ActionKind action, const PoolerView& pooler, std::string description) {
    problems_.push_back({code, action, pooler.member, std::move(description)});
  }

  const AnalysisInput& input_;
  const ShardFacts& facts_;
  std::vector<Problem>& problems_;
  bool leader_serves_ = false;
  bool rule_open_ = false;
};

}  // namespace

void AnalyseFollowers(const AnalysisInput& input, std::vector<Problem>& problems) {
  FollowerAnalysis(input, problems).Run();
}

}  // namespace multigres::orch
