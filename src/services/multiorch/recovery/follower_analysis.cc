#include "services/multiorch/recovery/follower_analysis.h"

#include "common/consensus/durability.h"
#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"

namespace multigres::orch {
namespace {

bool ClaimsLeadership(const PoolerView& pooler) {
  return pooler.postgres().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY;
}

bool Recruitable(const PoolerView& pooler) {
  const auto& status = pooler.consensus();
  const auto* floor = status.has_recruit_blocked_until() ? &status.recruit_blocked_until() : nullptr;
  return consensus::LsnOrLowest(status.current_position().lsn()).has_value() &&
         !consensus::IsFloorOutstanding(status.current_position(), floor) &&
         !pooler.availability().suspected_divergence();
}

class FollowerAnalysis {
 public:
  FollowerAnalysis(const AnalysisInput& input, std::vector<Problem>& problems)
      : input_(input), facts_(input.facts), problems_(problems) {}

  void Run() {
    leader_ = facts_.leader_pooler;
    leader_serves_ =
        leader_ != nullptr && IsFresh(*leader_, input_.now, input_.thresholds) && IsServingLeader(facts_, *leader_);
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
    if (!leader_serves_) return;
    // It asked to be left alone.
    if (IsIneligible(pooler)) {
      if (member && !rule_open_) JudgeIneligible(pooler);
      return;
    }
    if (!pooler.postgres().postgres_ready()) return;
    if (IsSelfRevoked(facts_, pooler)) {
      if (!rule_open_ && PromiseIsAbandoned(input_, pooler)) {
        Add(ProblemCode::kReplicaRecruitAbandoned, ActionKind::kAdvance, pooler,
            fmt::format("promised term {}, which nobody pursues",
                        pooler.consensus().term_revocation().revoked_below_term()));
      }
      return;
    }
    if (const std::string why = NotReplicating(*leader_, pooler, input_.thresholds); !why.empty()) {
      // Everybody is on the way to a leader of this moment: they are told to follow anyway.
      if (RuleIsYounger(input_, input_.thresholds.attach)) return;
      return Add(ProblemCode::kReplicaNotReplicating, ActionKind::kFixReplication, pooler, why);
    }
    if (const std::string why = Lagging(pooler); !why.empty()) {
      Add(ProblemCode::kReplicaLagging, ActionKind::kNone, pooler, why);
    }
    if (rule_open_) return;
    if (!member && IsStreaming(pooler) && Recruitable(pooler)) {
      Add(ProblemCode::kPoolerNotInCohort, ActionKind::kAddToCohort, pooler, "streams, but is not in the cohort");
    }
  }

  std::string Lagging(const PoolerView& pooler) const {
    const auto leads_at = consensus::LsnOrLowest(leader_->postgres().primary_status().lsn());
    const auto replayed = consensus::LsnOrLowest(pooler.postgres().replication_status().last_replay_lsn());
    if (leads_at && replayed && *leads_at > *replayed && *leads_at - *replayed > input_.thresholds.lag_bytes) {
      return fmt::format("is {} bytes behind its leader", *leads_at - *replayed);
    }
    const bool leader_writes = leader_->write_stall && *leader_->write_stall < input_.thresholds.stall;
    if (leader_writes && pooler.progress_stall.value_or(Duration::zero()) > input_.thresholds.lag) {
      return fmt::format("has received and replayed nothing for {} s",
                         std::chrono::floor<std::chrono::seconds>(*pooler.progress_stall).count());
    }
    return "";
  }

  bool Settled(TimePoint since) const { return input_.now.steady - since >= input_.thresholds.removal_settle; }

  // It acknowledges nothing any more, so that its place in the cohort only makes quorums larger.
  void JudgeTombstone(const PoolerView& pooler) {
    if (!Settled(pooler.tombstoned_since)) return;
    consensus::MemberSet rest = facts_.cohort;
    rest.Erase(pooler.member);
    const bool possible = consensus::CheckAchievable(facts_.rule().durability_policy(), rest).has_value();
    Add(ProblemCode::kCohortMemberIneligible, possible ? ActionKind::kRemoveFromCohort : ActionKind::kNone, pooler,
        "was shut down");
  }

  void JudgeIneligible(const PoolerView& pooler) {
    const bool may = Settled(pooler.ineligible_since.value_or(input_.now.steady)) &&
                     (RemovalIsSafe(pooler.member) || RemovalLosesNothing(pooler));
    Add(ProblemCode::kCohortMemberIneligible, may ? ActionKind::kRemoveFromCohort : ActionKind::kNone, pooler,
        "is ineligible");
  }

  void JudgeUntrackedMembers() {
    if (WatchedFor(input_) <= input_.thresholds.removal_settle) return;
    for (const std::string& member : facts_.cohort) {
      if (input_.view.Find(member) != nullptr) continue;
      problems_.push_back({ProblemCode::kCohortMemberIneligible,
                           RemovalIsSafe(member) ? ActionKind::kRemoveFromCohort : ActionKind::kNone, member,
                           "is not in the topology"});
    }
  }

  consensus::MemberSet Without(const std::string& member) const {
    consensus::MemberSet rest = facts_.cohort;
    rest.Erase(member);
    return rest;
  }

  // What stays, without its leader, could still recruit.
  bool RemovalIsSafe(const std::string& member) const {
    const consensus::MemberSet rest = Without(member);
    consensus::MemberSet recruits = rest;
    recruits.Erase(facts_.leader);
    return consensus::CheckFeasible(facts_.rule().durability_policy(), rest, recruits).has_value();
  }

  // It takes no part in elections and acknowledges nothing: where the loss of the leader can't be survived with it
  // (three members, one ineligible), nothing gets worse without it, as long as the rest streams and can acknowledge.
  bool RemovalLosesNothing(const PoolerView& pooler) const {
    if (IsStreaming(pooler)) return false;
    const auto& policy = facts_.rule().durability_policy();
    consensus::MemberSet eligible = Without(pooler.member);
    eligible.Erase(facts_.leader);
    if (consensus::CheckFeasible(policy, facts_.cohort, eligible)) return false;
    consensus::MemberSet streaming;
    for (const std::string& member : eligible) {
      const PoolerView* other = input_.view.Find(member);
      if (other != nullptr && IsFresh(*other, input_.now, input_.thresholds) && IsStreaming(*other)) {
        streaming.Insert(member);
      }
    }
    return consensus::IsDurable(policy, Without(pooler.member), facts_.leader, streaming);
  }

  void Add(ProblemCode code, ActionKind action, const PoolerView& pooler, std::string description) {
    problems_.push_back({code, action, pooler.member, std::move(description)});
  }

  const AnalysisInput& input_;
  const ShardFacts& facts_;
  std::vector<Problem>& problems_;
  const PoolerView* leader_ = nullptr;
  bool leader_serves_ = false;
  bool rule_open_ = false;
};

}  // namespace

std::string NotReplicating(const PoolerView& leader, const PoolerView& pooler, const Thresholds& thresholds) {
  const auto& replication = pooler.postgres().replication_status();
  const auto& conninfo = replication.primary_conn_info();
  const ::clustermetadata::PoolerAddress wanted = leader.Address();
  if (conninfo.host().empty()) return "has no primary_conninfo";
  if (conninfo.host() != wanted.host() || (conninfo.port() != 0 && conninfo.port() != wanted.postgres_port())) {
    return fmt::format("follows {}:{} instead of {}:{}", conninfo.host(), conninfo.port(), wanted.host(),
                       wanted.postgres_port());
  }
  if (!conninfo.application_name().empty() && conninfo.application_name() != pooler.member) {
    return fmt::format("streams under the name {}: its acknowledgements don't count", conninfo.application_name());
  }
  if (replication.is_wal_replay_paused()) return "has replay paused";
  const std::string& receiver = replication.wal_receiver_status();
  if (receiver == "streaming" || receiver == "waiting") return "";
  // It reconnects by itself within a moment, if it can.
  if (pooler.detached && *pooler.detached < thresholds.detached) return "";
  return fmt::format("has a receiver that is {}", receiver.empty() ? "absent" : receiver);
}

void AnalyseFollowers(const AnalysisInput& input, std::vector<Problem>& problems) {
  FollowerAnalysis(input, problems).Run();
}

}  // namespace multigres::orch
