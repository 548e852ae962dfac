#include "services/multiorch/recovery/analysis.h"

#include <gtest/gtest.h>

#include "services/multiorch/recovery/testing_shard.h"

namespace multigres::orch {
namespace {

using namespace testing_shard;
using consensus::testing::Decided;
using consensus::testing::Rule;
using consensus::testing::Undecided;

TEST(Analyse, AHealthyShardHasNoProblem) {
  EXPECT_EQ(Problems(Shard()), Texts{});
}

TEST(Analyse, AShardWithoutARuleIsInitializedOnceItsPoolersSatisfyThePolicy) {
  Shard shard;
  auto seed = consensus::testing::Decided(Rule(0, 1, "", {}));
  shard.SetRules(seed);
  for (std::string_view member : kCohort) {
    shard.Recover(std::string(member));
    shard.Status(std::string(member)).mutable_consensus_status()->clear_replication_primary();
  }
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"}) << "policy unknown";
  shard.extra.bootstrap_policy = consensus::AtLeast(2);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization->ShardInit"});
  shard.Status("z3_c").mutable_status()->set_is_initialized(false);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization->ShardInit"}) << "two suffice";
  shard.Status("z2_b").mutable_status()->set_postgres_ready(false);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"});
  shard.Status("z2_b").mutable_status()->set_postgres_ready(true);
  shard.Status("z2_b").mutable_status()->set_system_identifier("8");
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"}) << "two different databases";
}

TEST(Analyse, TwoRulesOfOneNumberStopEverything) {
  Shard shard;
  shard.SetOwnRules("z3_c", Decided(Rule(1, 0, "z3_c", kCohort)));
  EXPECT_EQ(Problems(shard), Texts{"RuleEquivocation"});
  shard.KillPostgres("z1_a");
  EXPECT_EQ(Problems(shard), Texts{"RuleEquivocation"}) << "no election either";
  shard.SetOwnRules("z3_c", Undecided(Rule(1, 0, "z1_a", kCohort), Rule(1, 1, "z1_a", kCohort)));
  EXPECT_EQ(Problems(shard), Texts{"LeaderUnhealthy->AppointLeader"}) << "an open proposal contradicts nobody";
}

TEST(Analyse, TheMostUrgentComesFirst) {
  Shard shard;
  shard.RunAsPrimary("z2_b");
  shard.Add("z1_d");
  shard.ShutDown("z3_c");
  EXPECT_EQ(Problems(shard),
            (Texts{"StaleLeader->DemoteStaleLeader(z2_b)", "ShardAtRisk", "PoolerNotInCohort->AddToCohort(z1_d)",
                   "CohortMemberIneligible->RemoveFromCohort(z3_c)"}));
}

TEST(Analyse, EveryProblemHasItsPriority) {
  const struct {
    ProblemCode code;
    const char* text;
    int priority;
  } table[] = {
      {ProblemCode::kRuleEquivocation, "RuleEquivocation", 10000},
      {ProblemCode::kShardNeedsInitialization, "ShardNeedsInitialization", 10000},
      {ProblemCode::kLeaderUnspecified, "LeaderUnspecified", 1000},
      {ProblemCode::kLeaderResigned, "LeaderResigned", 1000},
      {ProblemCode::kLeaderUnhealthy, "LeaderUnhealthy", 1000},
      {ProblemCode::kLeaderUnreachableByCohort, "LeaderUnreachableByCohort", 1000},
      {ProblemCode::kLeaderStuck, "LeaderStuck", 1000},
      {ProblemCode::kShardStuck, "ShardStuck", 1000},
      {ProblemCode::kNoHealthyCohortMembers, "NoHealthyCohortMembers", 1000},
      {ProblemCode::kStaleLeader, "StaleLeader", 500},
      {ProblemCode::kReplicaRecruitAbandoned, "ReplicaRecruitAbandoned", 500},
      {ProblemCode::kReplicaNotReplicating, "ReplicaNotReplicating", 500},
      {ProblemCode::kLeaderHealthUnknown, "LeaderHealthUnknown", 100},
      {ProblemCode::kShardAtRisk, "ShardAtRisk", 100},
      {ProblemCode::kPoolerNotInCohort, "PoolerNotInCohort", 100},
      {ProblemCode::kCohortMemberIneligible, "CohortMemberIneligible", 100},
      {ProblemCode::kReplicaLagging, "ReplicaLagging", 100},
  };
  for (const auto& row : table) {
    EXPECT_EQ(CodeText(row.code), row.text);
    EXPECT_EQ(Priority(row.code), row.priority) << row.text;
  }
}

TEST(Decide, TakesTheMostUrgentShardWideProblemAlone) {
  const Problem appoint{ProblemCode::kLeaderResigned, ActionKind::kAppointLeader, "", ""};
  const Problem alert{ProblemCode::kShardStuck, ActionKind::kNone, "", ""};
  const Problem fix{ProblemCode::kReplicaNotReplicating, ActionKind::kFixReplication, "z2_b", ""};
  const Problem add{ProblemCode::kPoolerNotInCohort, ActionKind::kAddToCohort, "z2_b", ""};
  const Problem remove_c{ProblemCode::kCohortMemberIneligible, ActionKind::kRemoveFromCohort, "z3_c", ""};
  const Problem remove_d{ProblemCode::kCohortMemberIneligible, ActionKind::kRemoveFromCohort, "z3_d", ""};
  EXPECT_EQ(Decide({alert, appoint, fix}).size(), 1u);
  EXPECT_EQ(Decide({alert, appoint, fix})[0].action, ActionKind::kAppointLeader);
  const auto chosen = Decide({alert, fix, add, remove_c, remove_d});
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].action, ActionKind::kFixReplication);
  EXPECT_EQ(chosen[1].member, "z3_c");
}

}  // namespace
}  // namespace multigres::orch
