#include "services/multiorch/recovery/problem.h"

namespace multigres::orch {

std::string_view CodeText(ProblemCode code) {
  switch (code) {
    case ProblemCode::kRuleEquivocation:
      return "RuleEquivocation";
    case ProblemCode::kShardNeedsInitialization:
      return "ShardNeedsInitialization";
    case ProblemCode::kLeaderUnspecified:
      return "LeaderUnspecified";
    case ProblemCode::kLeaderResigned:
      return "LeaderResigned";
    case ProblemCode::kLeaderUnhealthy:
      return "LeaderUnhealthy";
    case ProblemCode::kLeaderUnreachableByCohort:
      return "LeaderUnreachableByCohort";
    case ProblemCode::kLeaderStuck:
      return "LeaderStuck";
    case ProblemCode::kShardStuck:
      return "ShardStuck";
    case ProblemCode::kNoHealthyCohortMembers:
      return "NoHealthyCohortMembers";
    case ProblemCode::kStaleLeader:
      return "StaleLeader";
    case ProblemCode::kReplicaRecruitAbandoned:
      return "ReplicaRecruitAbandoned";
    case ProblemCode::kReplicaNotReplicating:
      return "ReplicaNotReplicating";
    case ProblemCode::kLeaderHealthUnknown:
      return "LeaderHealthUnknown";
    case ProblemCode::kShardAtRisk:
      return "ShardAtRisk";
    case ProblemCode::kPoolerNotInCohort:
      return "PoolerNotInCohort";
    case ProblemCode::kCohortMemberIneligible:
      return "CohortMemberIneligible";
    case ProblemCode::kReplicaLagging:
      return "ReplicaLagging";
  }
  return "Unknown";
}

int Priority(ProblemCode code) {
  switch (code) {
    case ProblemCode::kRuleEquivocation:
    case ProblemCode::kShardNeedsInitialization:
      return 10000;
    case ProblemCode::kLeaderUnspecified:
    case ProblemCode::kLeaderResigned:
    case ProblemCode::kLeaderUnhealthy:
    case ProblemCode::kLeaderUnreachableByCohort:
    case ProblemCode::kLeaderStuck:
    case ProblemCode::kShardStuck:
    case ProblemCode::kNoHealthyCohortMembers:
      return 1000;
    case ProblemCode::kStaleLeader:
    case ProblemCode::kReplicaRecruitAbandoned:
    case ProblemCode::kReplicaNotReplicating:
      return 500;
    case ProblemCode::kLeaderHealthUnknown:
    case ProblemCode::kShardAtRisk:
    case ProblemCode::kPoolerNotInCohort:
    case ProblemCode::kCohortMemberIneligible:
    case ProblemCode::kReplicaLagging:
      return 100;
  }
  return 0;
}

std::string_view ActionText(ActionKind action) {
  switch (action) {
    case ActionKind::kNone:
      return "alert";
    case ActionKind::kShardInit:
      return "ShardInit";
    case ActionKind::kAppointLeader:
      return "AppointLeader";
    case ActionKind::kDemoteStaleLeader:
      return "DemoteStaleLeader";
    case ActionKind::kAdvance:
      return "AdvanceRule";
    case ActionKind::kFixReplication:
      return "FixReplication";
    case ActionKind::kAddToCohort:
      return "AddToCohort";
    case ActionKind::kRemoveFromCohort:
      return "RemoveFromCohort";
  }
  return "unknown";
}

}  // namespace multigres::orch
