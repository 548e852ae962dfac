// Problems of a shard and the actions against them, as plain values.
#pragma once

#include <string>
#include <string_view>

namespace multigres::orch {

enum class ProblemCode {
  kRuleEquivocation,
  kShardNeedsInitialization,
  kLeaderUnspecified,
  kLeaderResigned,
  kLeaderUnhealthy,
  kLeaderUnreachableByCohort,
  kLeaderStuck,
  kShardStuck,
  kNoHealthyCohortMembers,
  kStaleLeader,
  kReplicaRecruitAbandoned,
  kReplicaNotReplicating,
  kLeaderHealthUnknown,
  kShardAtRisk,
  kPoolerNotInCohort,
  kCohortMemberIneligible,
  kReplicaLagging,
};

enum class ActionKind {
  kNone,  // an alert
  kShardInit,
  kAppointLeader,
  kDemoteStaleLeader,
  kAdvance,
  kFixReplication,
  kAddToCohort,
  kRemoveFromCohort,
};

struct Problem {
  ProblemCode code;
  ActionKind action = ActionKind::kNone;
  // The pooler that it is about; empty = the whole shard.
  std::string member;
  std::string description;
  // The pooler that it is about, or the leader, says so itself: asking it again would tell nothing new.
  bool first_hand = false;

  bool IsShardWide() const { return member.empty(); }
};

std::string_view CodeText(ProblemCode code);  // "ShardNeedsInitialization"
int Priority(ProblemCode code);               // higher = more urgent
std::string_view ActionText(ActionKind action);

}  // namespace multigres::orch
