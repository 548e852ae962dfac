#include "services/multiorch/recovery/engine.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "services/multiorch/recovery/testing_cluster.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;
using testing_cluster::Cluster;
using testing_cluster::kStep;
using testing_cluster::Orchestrator;

TEST(Engine, InitializesAShard) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0");
  const auto rule = cluster.shard.Rules(cluster.shard.Primary()).decision();
  EXPECT_EQ(rule.cohort_members_size(), 3);
  EXPECT_EQ(rule.durability_policy().policy_name(), "AT_LEAST_2");
  cluster.Write("first");
  ASSERT_TRUE(cluster.RunUntil([&] { return !cluster.acked.empty(); }, 1s));
  cluster.Run(20s);
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0") << "nothing more to do";
  EXPECT_TRUE(cluster.orchestrators[0]->engine.Problems().empty());
}

TEST(Engine, WaitsForThePolicyOfTheTopology) {
  Cluster cluster;
  cluster.topology.SetReachable(false);
  cluster.Run(10s);
  EXPECT_EQ(cluster.shard.Calls("Recruit"), 0);
  cluster.topology.SetReachable(true);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s));
}

TEST(Engine, AppointsAfterARestartOfTheWholeClusterWithoutTheTopology) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  cluster.topology.SetReachable(false);
  for (const std::string& member : cluster.shard.members()) cluster.shard.KillNode(member);
  cluster.Run(3s);
  for (const std::string& member : cluster.shard.members()) cluster.shard.StartNode(member);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 15s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
}

TEST(Engine, AppointsWhenTheLeadersPostgresRestarted) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  cluster.shard.KillPostgres(cluster.shard.Primary());
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Primary().empty(); }));
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 15s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
}

TEST(Engine, FailsOverWhenTheLeadersNodeIsGone) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  const std::string old = cluster.shard.Primary();
  cluster.down.insert(old);
  cluster.shard.KillNode(old);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 40s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0");
  cluster.ExpectNothingLost();
  cluster.down.clear();
  cluster.shard.StartNode(old);
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s)) << "the old leader follows";
}

TEST(Engine, AFollowerThatFellOffIsReattached) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  const std::string follower = cluster.shard.Primary() == "z2_b" ? "z3_c" : "z2_b";
  cluster.shard.DropConninfo(follower);
  EXPECT_FALSE(cluster.Settled());
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  cluster.shard.KillNode(follower);
  cluster.Run(2s);
  cluster.shard.StartNode(follower);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 5s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0") << "no election for a follower";
}

TEST(Engine, ANewPoolerJoinsTheCohort) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.shard.AddMember("z1_d");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled() && cluster.RuleOfPrimary() == "1.1"; }, 10s));
  EXPECT_EQ(cluster.shard.Rules(cluster.shard.Primary()).decision().cohort_members_size(), 4);
}

TEST(Engine, OneOrchestratorOfSeveralRepairs) {
  Cluster cluster({"z1_a", "z2_b", "z3_c"}, 3);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Run(5s);
  const int changes = cluster.shard.Calls("UpdateConsensusRule");
  cluster.shard.AddMember("z1_d");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.RuleOfPrimary() == "1.1"; }, 10s));
  cluster.Run(5s);
  EXPECT_EQ(cluster.shard.Calls("UpdateConsensusRule"), changes + 1);
}

TEST(Engine, ARestartedFollowerKeepsItsPlaceInTheCohortAfterAShutdown) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  const std::string follower = cluster.shard.Primary() == "z2_b" ? "z3_c" : "z2_b";
  cluster.shard.SetShutDown(follower);
  cluster.Run(20s);
  cluster.shard.StartNode(follower);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 10s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0");
}

TEST(Engine, TwoOrchestratorsRacingMakeOneLeader) {
  for (int round = 0; round < 5; ++round) {
    Cluster cluster({"z1_a", "z2_b", "z3_c"}, 3);
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 30s));
    cluster.Write("kept");
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
    for (auto& orchestrator : cluster.orchestrators) orchestrator->options.graces.stagger = 0s;  // all at once
    cluster.shard.KillPostgres(cluster.shard.Primary());
    cluster.Run(100ms * (round + 1));
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 60s)) << round;
    cluster.ExpectNothingLost();
    cluster.Run(5s);
    EXPECT_TRUE(cluster.Settled());
  }
}

// As after a restart of all orchestrators, before any has found the others: the same news reaches them at once, each
// takes some members' promises, and both attempts come to nothing.
TEST(Engine, OrchestratorsThatBothTakeThemselvesForTheFirstDoNotGoOnColliding) {
  for (int round = 0; round < 5; ++round) {
    Cluster cluster({"z1_a", "z2_b", "z3_c"}, 2);
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 30s));
    for (auto& orchestrator : cluster.orchestrators) {
      orchestrator->engine.SetRank([](const ::clustermetadata::ShardKey&) { return 0; });
    }
    cluster.Run(1s + 35ms * round);
    cluster.shard.KillPostgres(cluster.shard.Primary());
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Primary().empty(); }));
    // At worst the back-off from each other's attempt once.
    EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 6s)) << round;
  }
}

// The leader fails; one follower has promised itself to the first orchestrator, which is no more.
void LetTheFirstDieHavingRecruitedOne(Cluster& cluster) {
  const std::string leader = cluster.shard.Primary();
  const std::string follower = leader == "z2_b" ? "z3_c" : "z2_b";
  const auto promise = [&] {
    return cluster.orchestrators[0]->board.Find(follower)->consensus().term_revocation().revoked_below_term();
  };
  const std::int64_t before = promise();
  cluster.shard.on_call = [follower](const std::string& member, std::string_view method) -> Result<> {
    if (method == "Recruit" && member != follower) return Fail(Code::kUnavailable, "lost");
    return {};
  };
  cluster.shard.KillPostgres(leader);
  ASSERT_TRUE(cluster.RunUntil([&] { return promise() > before; }));
  cluster.Kill(cluster.orchestrators[0]);
  cluster.shard.on_call = nullptr;
}

TEST(Engine, LeavesAnotherOrchestratorsAttemptItsTimeWhateverItsClockSays) {
  for (const Duration skew : {Duration(0h), Duration(-1h), Duration(1h), Duration(3s)}) {
    SCOPED_TRACE(std::chrono::duration_cast<std::chrono::seconds>(skew).count());
    Cluster cluster({"z1_a", "z2_b", "z3_c"}, 0);
    cluster.StartOrchestrator(skew);
    cluster.StartOrchestrator();
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
    LetTheFirstDieHavingRecruitedOne(cluster);
    const int recruits = cluster.shard.Calls("Recruit");
    const auto waited = cluster.TimeUntil([&] { return cluster.shard.Calls("Recruit") > recruits; });
    ASSERT_TRUE(waited);
    EXPECT_GT(*waited, 3500ms);
    EXPECT_LT(*waited, 5s);
    EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  }
}

// Those that have waited for the same attempt begin in order, not all at once.
TEST(Engine, AfterAnAttemptThatCameToNothingTheNextInRankGoesAlone) {
  Cluster cluster({"z1_a", "z2_b", "z3_c"}, 4);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  LetTheFirstDieHavingRecruitedOne(cluster);
  const int recruits = cluster.shard.Calls("Recruit");
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 6s));
  EXPECT_EQ(cluster.RuleOfPrimary(), "3.0");
  EXPECT_EQ(cluster.shard.Calls("Recruit") - recruits, 3) << "each member was asked once";
}

TEST(Engine, AnotherOrchestratorFinishesWhatADeadOneBegan) {
  for (std::string_view dies_at : {"Recruit", "Promote", "SetPrimary"}) {
    Cluster cluster;
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
    cluster.Write("kept");
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
    cluster.shard.KillPostgres(cluster.shard.Primary());
    const int before = cluster.shard.Calls(dies_at);
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Calls(dies_at) > before; }));
    cluster.Run(2 * kStep);
    cluster.Kill(cluster.orchestrators[0]);
    cluster.StartOrchestrator();
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 60s)) << dies_at;
    cluster.ExpectNothingLost();
  }
}

TEST(Engine, AProposalLeftUndecidedIsCarriedOver) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Write("kept");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.acked.size() == 1; }));
  // Nobody learns of the new leader: its proposal is written and never acknowledged.
  cluster.shard.on_call = [](const std::string&, std::string_view method) -> Result<> {
    if (method == "SetPrimary") return Fail(Code::kUnavailable, "lost");
    return {};
  };
  cluster.shard.KillPostgres(cluster.shard.Primary());
  auto open_proposal = [&] {
    return std::ranges::any_of(cluster.shard.members(), [&](const std::string& member) {
      return consensus::HasProposal(cluster.shard.Rules(member));
    });
  };
  ASSERT_TRUE(cluster.RunUntil(open_proposal, 30s));
  cluster.Kill(cluster.orchestrators[0]);
  cluster.shard.on_call = nullptr;
  cluster.StartOrchestrator();
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 90s));
  cluster.ExpectNothingLost();
}

TEST(Engine, AnOrchestratorCutOffFromALiveLeaderDoesNothing) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.orchestrators[0]->access.CutOff(cluster.shard.Primary(), true);
  const int recruits = cluster.shard.Calls("Recruit");
  cluster.Run(60s);
  EXPECT_EQ(cluster.shard.Calls("Recruit"), recruits);
  EXPECT_TRUE(cluster.Settled());
}

TEST(Engine, DisabledRecoveryStartsNothing) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  Engine& engine = cluster.orchestrators[0]->engine;
  bool drained = false;
  asio::co_spawn(
      cluster.io,
      [](Engine& engine, Clock& clock, bool& drained) -> Awaitable<void> {
        drained = co_await engine.Disable(clock.After(1s));
      }(engine, cluster.clock, drained),
      asio::detached);
  cluster.Run(100ms);
  EXPECT_TRUE(drained);
  cluster.shard.KillPostgres(cluster.shard.Primary());
  cluster.Run(30s);
  EXPECT_EQ(cluster.shard.Primary(), "");
  EXPECT_FALSE(engine.Problems().empty());
  engine.Enable();
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 20s));
}

TEST(Engine, DisablingWaitsForWhatIsRunning) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  Engine& engine = cluster.orchestrators[0]->engine;
  cluster.shard.KillPostgres(cluster.shard.Primary());
  const int promotions = cluster.shard.Calls("Promote");
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.shard.Calls("Promote") > promotions; }));
  std::optional<bool> drained;
  asio::co_spawn(
      cluster.io,
      [](Engine& engine, Clock& clock, std::optional<bool>& drained) -> Awaitable<void> {
        drained = co_await engine.Disable(clock.After(10s));
      }(engine, cluster.clock, drained),
      asio::detached);
  EXPECT_FALSE(drained);
  ASSERT_TRUE(cluster.RunUntil([&] { return drained.has_value(); }, 10s));
  EXPECT_TRUE(*drained);
  EXPECT_EQ(cluster.RuleOfPrimary(), "2.0") << "the appointment was carried through";
}

void TriggerNow(Cluster& cluster, Engine& engine) {
  std::optional<std::vector<std::string>> remaining;
  asio::co_spawn(
      cluster.io,
      [](Engine& engine, std::optional<std::vector<std::string>>& remaining) -> Awaitable<void> {
        auto codes = co_await engine.TriggerNow(1);
        if (codes) remaining = std::move(*codes);
      }(engine, remaining),
      asio::detached);
  ASSERT_TRUE(cluster.RunUntil([&] { return remaining.has_value(); }, 8s));
}

TEST(Engine, TriggerNowSkipsTheGrace) {
  Cluster cluster;
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  Orchestrator& orchestrator = *cluster.orchestrators[0];
  orchestrator.options.graces = {.base = 50s, .max_jitter = 40s};
  const std::string old = cluster.shard.Primary();
  cluster.down.insert(old);
  cluster.shard.KillNode(old);
  cluster.Run(5s);
  ASSERT_EQ(cluster.shard.Primary(), "");
  ASSERT_NO_FATAL_FAILURE(TriggerNow(cluster, orchestrator.engine));
  EXPECT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }, 8s));
}

TEST(Engine, TriggerNowRepairsOutOfTurn) {
  Cluster cluster({"z1_a", "z2_b", "z3_c"}, 2);
  ASSERT_TRUE(cluster.RunUntil([&] { return cluster.Settled(); }));
  cluster.Kill(cluster.orchestrators[0]);
  Orchestrator& second = *cluster.orchestrators[1];
  second.options.graces.stagger = 1h;
  cluster.shard.AddMember("z1_d");
  cluster.Run(5s);
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.0") << "the first in rank may be about to do it";
  ASSERT_NO_FATAL_FAILURE(TriggerNow(cluster, second.engine));
  EXPECT_EQ(cluster.RuleOfPrimary(), "1.1");
}

}  // namespace
}  // namespace multigres::orch
