// How long failovers take, and what must not cause one, on a virtual clock against poolers in memory.
#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>

#include "services/multiorch/recovery/testing_cluster.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;
using testing_cluster::Cluster;

// A shard with a leader and an acknowledged write.
class Failover : public ::testing::Test {
 protected:
  void SetUpCluster(std::vector<std::string> members = {"z1_a", "z2_b", "z3_c"}, int orchestrators = 1) {
    cluster_.emplace(std::move(members), orchestrators);
    ASSERT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }));
    cluster().Write("kept");
    ASSERT_TRUE(cluster().RunUntil([&] { return cluster().acked.size() == 1; }));
    // Old enough that nothing is excused by the rule's youth.
    cluster().Run(31s);
    old_ = cluster().shard.Primary();
    rule_ = cluster().RuleOfPrimary();
    recruits_ = cluster().shard.Calls("Recruit");
  }
  Cluster& cluster() { return *cluster_; }
  MemoryShard& shard() { return cluster().shard; }
  std::string Follower(std::size_t index = 0) const {
    for (const std::string& member : cluster_->shard.members()) {
      if (member != old_ && index-- == 0) return member;
    }
    return "";
  }
  // Until somebody else leads.
  std::optional<Duration> TimeToNewLeader(Duration limit = 30s) {
    return cluster().TimeUntil(
        [&] {
          const auto primaries = shard().Primaries();
          return std::ranges::any_of(primaries, [&](const std::string& member) { return member != old_; });
        },
        limit);
  }
  void ExpectSettledAndNothingLost() {
    EXPECT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }, 40s));
    cluster().ExpectNothingLost();
  }
  void ExpectNoElection() {
    EXPECT_EQ(shard().Calls("Recruit"), recruits_);
    EXPECT_EQ(cluster().RuleOfPrimary(), rule_);
  }

  std::optional<Cluster> cluster_;
  std::string old_;
  std::string rule_;
  int recruits_ = 0;
};

TEST_F(Failover, OfAKilledPostgresTakesLessThanHalfASecond) {
  SetUpCluster();
  shard().KillPostgres(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 500ms);
  ExpectSettledAndNothingLost();
  EXPECT_EQ(cluster().RuleOfPrimary(), "2.0");
}

TEST_F(Failover, OfAKilledHostTakesLessThanTwoSeconds) {
  SetUpCluster();
  shard().KillNode(old_);
  cluster().down.insert(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 2s);
  ExpectSettledAndNothingLost();
}

TEST_F(Failover, OfACutOffHostTakesLessThanTwoSecondsAndItFollowsOnceItIsBack) {
  SetUpCluster();
  shard().SetSilent(old_, true);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 2s);
  cluster().Run(10s);
  shard().SetSilent(old_, false);
  ExpectSettledAndNothingLost();
  EXPECT_NE(shard().Primary(), old_);
}

TEST_F(Failover, OfAFrozenPostgresTakesLessThanTwoSecondsAndItFollowsOnceItIsThawed) {
  SetUpCluster();
  shard().SetFrozen(old_, true);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 2s);
  cluster().Run(10s);
  shard().SetFrozen(old_, false);
  ExpectSettledAndNothingLost();
  EXPECT_NE(shard().Primary(), old_);
}

TEST_F(Failover, OfAFrozenDiskTakesLessThanTwoSeconds) {
  SetUpCluster();
  shard().SetDiskFrozen(old_, true);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 2s);
}

TEST_F(Failover, DoesNotHappenForAPoolerThatComesBackWithinItsGrace) {
  SetUpCluster();
  shard().KillPooler(old_);
  cluster().Run(2500ms);
  shard().StartPooler(old_);
  cluster().Run(20s);
  ExpectNoElection();
  ExpectSettledAndNothingLost();
}

TEST_F(Failover, HappensForAPoolerThatStaysAwayThoughItsPostgresLives) {
  SetUpCluster();
  shard().KillPooler(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_GT(*time, 3s);
  EXPECT_LT(*time, 4s);
  shard().StartPooler(old_);
  ExpectSettledAndNothingLost();
}

TEST_F(Failover, DoesNotHappenWhileAStandbyIsFrozen) {
  SetUpCluster();
  shard().SetFrozen(Follower(), true);
  cluster().Write("with one standby");
  EXPECT_TRUE(cluster().RunUntil([&] { return cluster().acked.size() == 2; }, 1s));
  cluster().Run(60s);
  ExpectNoElection();
  shard().SetFrozen(Follower(), false);
  ExpectSettledAndNothingLost();
}

TEST_F(Failover, DoesNotHelpALeaderWhoseStandbysAreAllDead) {
  SetUpCluster();
  for (std::size_t i : {0, 1}) shard().KillNode(Follower(i));
  cluster().Write("hangs");
  cluster().Run(60s);
  ExpectNoElection();
  EXPECT_EQ(cluster().acked.size(), 1u);
  std::vector<std::string_view> codes;
  for (const auto& detected : cluster().orchestrators[0]->engine.Problems()) {
    codes.push_back(CodeText(detected.problem.code));
  }
  EXPECT_NE(std::ranges::find(codes, "ShardAtRisk"), codes.end());
  EXPECT_NE(std::ranges::find(codes, "ShardStuck"), codes.end());
  for (std::size_t i : {0, 1}) shard().StartNode(Follower(i));
  ExpectSettledAndNothingLost();
  EXPECT_EQ(cluster().RuleOfPrimary(), rule_);
}

TEST_F(Failover, DoesNotHappenWhileOrchestratorsAreStarved) {
  SetUpCluster({"z1_a", "z2_b", "z3_c"}, 3);
  for (int round = 0; round < 5; ++round) {
    cluster().publishing = false;
    cluster().Run(3s);
    cluster().publishing = true;
    cluster().Run(1s);
  }
  ExpectNoElection();
}

TEST_F(Failover, DoesNotHappenWithoutTheTopology) {
  SetUpCluster();
  cluster().topology.SetReachable(false);
  cluster().Run(60s);
  ExpectNoElection();
  shard().KillPostgres(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 500ms) << "and it doesn't need it";
}

TEST_F(Failover, IsTheBusinessOfTheFirstOrchestratorAlone) {
  SetUpCluster({"z1_a", "z2_b", "z3_c"}, 3);
  shard().KillPostgres(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 500ms);
  cluster().Run(10s);
  EXPECT_EQ(shard().Calls("Recruit"), recruits_ + 3);
  ExpectSettledAndNothingLost();
  EXPECT_EQ(cluster().RuleOfPrimary(), "2.0");
}

TEST_F(Failover, CostsOneStaggerIfTheFirstOrchestratorIsDead) {
  SetUpCluster({"z1_a", "z2_b", "z3_c"}, 3);
  cluster().Kill(cluster().orchestrators[0]);
  shard().KillPostgres(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_GT(*time, 300ms);
  EXPECT_LT(*time, 800ms);
  ExpectSettledAndNothingLost();
}

TEST_F(Failover, GoesToTheMostAdvancedMemberThoughItIsSlowToAnswer) {
  // Everybody restarts; the old leader alone has a write that nobody acknowledged.
  SetUpCluster({"z1_a", "z2_b", "z3_c"}, 1);
  for (std::size_t i : {0, 1}) shard().SetIsolated(Follower(i), true);
  cluster().Write("not acknowledged");
  cluster().Run(500ms);
  for (const std::string& member : shard().members()) shard().KillNode(member);
  for (const std::string& member : shard().members()) {
    shard().SetIsolated(member, false);
    shard().StartNode(member);
  }
  const std::string ahead = old_;
  shard().latency = [&](const std::string& member, std::string_view method) -> Duration {
    return member == ahead && method == "Recruit" ? 300ms : 0ms;
  };
  ASSERT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }, 10s));
  EXPECT_EQ(shard().Primary(), ahead);
  EXPECT_TRUE(shard().Holds(ahead, "not acknowledged"));
}

TEST_F(Failover, DoesNotWaitForARepairInProgress) {
  SetUpCluster({"z1_a", "z2_b", "z3_c", "z1_d", "z2_e"}, 1);
  const std::string hanging = Follower(2);
  shard().latency = [&](const std::string& member, std::string_view method) -> Duration {
    return member == hanging && method == "SetPrimary" ? 60s : 0ms;
  };
  shard().DropConninfo(hanging);
  cluster().Run(5s);
  EXPECT_GT(shard().Calls("SetPrimary"), 0);
  shard().KillPostgres(old_);
  const auto time = TimeToNewLeader();
  ASSERT_TRUE(time);
  EXPECT_LT(*time, 1s);
}

TEST_F(Failover, LeavesNoFollowerBehindWhenItIsAbandoned) {
  SetUpCluster();
  // Only one member is reached, then the orchestrator dies; the leader was alive all the time.
  const std::string reached = Follower();
  shard().on_call = [&](const std::string& member, std::string_view method) -> Result<> {
    if (method == "Recruit" && member != reached) return Fail(Code::kUnavailable, "lost");
    return {};
  };
  shard().KillPooler(old_);
  ASSERT_TRUE(cluster().RunUntil([&] { return shard().Calls("Recruit") > recruits_; }, 10s));
  cluster().Run(100ms);
  cluster().Kill(cluster().orchestrators[0]);
  shard().on_call = nullptr;
  shard().StartPooler(old_);
  cluster().Run(1s);
  ASSERT_FALSE(shard().Follows(reached, old_)) << "it was recruited";
  cluster().StartOrchestrator();
  EXPECT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }, 30s));
  EXPECT_EQ(shard().Primary(), old_);
  EXPECT_TRUE(cluster().RuleOfPrimary().starts_with("1.")) << cluster().RuleOfPrimary();
  cluster().ExpectNothingLost();
}

TEST_F(Failover, IsSafeWithOrchestratorsWhoseClocksAreOff) {
  for (Duration skew : {-1h, 1h}) {
    cluster_.reset();
    SetUpCluster();
    cluster().StartOrchestrator(skew);
    cluster().StartOrchestrator();
    for (int round = 0; round < 3; ++round) {
      const std::string primary = shard().Primary();
      shard().KillPostgres(primary);
      ASSERT_TRUE(cluster().RunUntil([&] { return shard().Primary() != primary; }));
      ASSERT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }, 30s));
      cluster().Write(fmt::format("round {}", round));
      cluster().Run(1s);
      // The next time another one is first.
      if (round == 0) cluster().Kill(cluster().orchestrators[0]);
    }
    EXPECT_EQ(cluster().acked.size(), 4u);
    cluster().ExpectNothingLost();
  }
}

TEST_F(Failover, MayFollowOnAnotherAtOnce) {
  SetUpCluster({"z1_a", "z2_b", "z3_c", "z1_d", "z2_e"}, 3);
  for (int round = 0; round < 4; ++round) {
    const std::string primary = shard().Primary();
    shard().KillPostgres(primary);
    const auto time = cluster().TimeUntil([&] {
      const std::string now = shard().Primary();
      return !now.empty() && now != primary;
    });
    ASSERT_TRUE(time);
    EXPECT_LT(*time, 1s) << round;
    ASSERT_TRUE(cluster().RunUntil([&] { return cluster().Settled(); }, 5s));
  }
  cluster().ExpectNothingLost();
}

TEST_F(Failover, IsRecordedStepByStep) {
  SetUpCluster({"z1_a", "z2_b", "z3_c"}, 2);
  std::vector<FailoverTimeline> settled;
  cluster().orchestrators[0]->engine.failovers().SetListener(
      [&](const FailoverTimeline& timeline) { settled.push_back(timeline); });
  const WallTime fault = cluster().clock.WallNow();
  shard().KillPostgres(old_);
  ExpectSettledAndNothingLost();
  cluster().Run(3s);
  ASSERT_EQ(settled.size(), 1u);
  const auto timelines = cluster().orchestrators[0]->engine.failovers().Timelines();
  ASSERT_EQ(timelines.size(), 1u);
  const FailoverTimeline& timeline = timelines[0];
  EXPECT_EQ(timeline.reason, ProblemCode::kLeaderUnhealthy);
  EXPECT_EQ(timeline.old_leader, old_);
  EXPECT_EQ(timeline.new_leader, shard().Primary());
  EXPECT_EQ(consensus::RuleNumberText(timeline.new_rule), "2.0");
  EXPECT_EQ(timeline.coordinator, "zone1_orch1");
  EXPECT_EQ(timeline.attempts, 1);
  EXPECT_FALSE(timeline.needless);
  const std::optional<WallTime> steps[] = {timeline.last_sign,  timeline.detected, timeline.started,
                                           timeline.recruited,  timeline.promoted, timeline.rule_written,
                                           timeline.first_write};
  for (std::size_t i = 0; i < std::size(steps); ++i) {
    ASSERT_TRUE(steps[i]) << i;
    if (i > 0) EXPECT_LE(*steps[i - 1], *steps[i]) << i;
    if (i > 0) EXPECT_GE(*steps[i], fault) << i;
    EXPECT_LE(*steps[i] - fault, 1s) << i;
  }
  ASSERT_TRUE(timeline.followers_attached);
  EXPECT_GE(*timeline.followers_attached, *timeline.rule_written);
  ASSERT_TRUE(timeline.old_leader_back);
  // The other one has seen it too, from outside.
  const auto seen = cluster().orchestrators[1]->engine.failovers().Timelines();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].attempts, 0);
  EXPECT_EQ(seen[0].coordinator, "zone1_orch1");
  EXPECT_TRUE(seen[0].Settled());
}

TEST_F(Failover, ThatTurnsOutUnnecessaryInTimeLeavesNoTrace) {
  SetUpCluster();
  cluster().orchestrators[0]->options.graces.base = 10s;
  shard().SetFrozen(old_, true);
  cluster().Run(3s);
  EXPECT_EQ(cluster().orchestrators[0]->engine.failovers().Timelines().size(), 1u) << "in progress";
  shard().SetFrozen(old_, false);
  cluster().Run(5s);
  EXPECT_TRUE(cluster().orchestrators[0]->engine.failovers().Timelines().empty());
  ExpectNoElection();
}

}  // namespace
}  // namespace multigres::orch
