// Scenarios with names: one fault each, on the real agent, manager, engine and coordinator.
#include <gtest/gtest.h>

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "test/sim/by_hand.h"

namespace multigres::sim {
namespace {

using namespace std::chrono_literals;

// No invariant may be violated on the way.
template <class Base>
class Judged : public Base {
 public:
  using Base::Base;
  ~Judged() {
    const auto& violation = this->cluster.trace.violation();
    EXPECT_FALSE(violation) << *violation << "\n" << this->cluster.trace.Last();
  }
};
using Scenario = Judged<Shard>;
using Script = Judged<ByHand>;

TEST(SimScenario, AKilledPrimaryIsReplacedOnceAndComesBack) {
  Scenario shard;
  Host& old = shard.Leader();
  const std::int64_t term = shard.Term(old);
  old.Crash(false);
  ASSERT_TRUE(shard.AnotherLeads(old));
  EXPECT_EQ(shard.Term(shard.Leader()), term + 1);
  EXPECT_TRUE(shard.WritesGoOn());
  old.Boot();
  old.StartPooler();
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_EQ(shard.Term(shard.Leader()), term + 1);
  shard.CheckNothingLost();
}

TEST(SimScenario, AFrozenPrimaryIsReplacedAndDemotedWhenItThaws) {
  Scenario shard;
  Host& old = shard.Leader();
  old.SetFrozen(true);
  old.postgres.SetFrozen(true);
  ASSERT_TRUE(shard.AnotherLeads(old));
  EXPECT_TRUE(shard.cluster.RunUntil([&] { return shard.WritesGoOn(); }, 20s));
  old.SetFrozen(false);
  old.postgres.SetFrozen(false);
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_NE(&shard.Leader(), &old);
  shard.CheckNothingLost();
}

TEST(SimScenario, ALeaderCutOffAloneIsReplacedAndItsExtraWalGoes) {
  Scenario shard;
  Host& old = shard.Leader();
  for (std::size_t i = 0; i < shard.cluster.hosts() + shard.cluster.orchestrators(); ++i) {
    if (static_cast<int>(i) != old.index()) shard.cluster.network.CutBoth(old.index(), static_cast<int>(i));
  }
  ASSERT_TRUE(shard.AnotherLeads(old));
  shard.cluster.Run(3s);
  shard.cluster.network.HealAll();
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_TRUE(shard.WritesGoOn());
  shard.CheckNothingLost();
}

TEST(SimScenario, WithoutOrchestratorsAndEtcdTheTrafficGoesOn) {
  Scenario shard;
  shard.cluster.orchestrator(0).Kill();
  shard.cluster.topology.FailAll(Error(Code::kUnavailable, "etcd is down"));
  shard.cluster.shard_topology.SetReachable(false);
  shard.cluster.Run(30s);
  EXPECT_TRUE(shard.WritesGoOn());
}

TEST(SimScenario, AFailoverNeedsNoEtcd) {
  Scenario shard;
  shard.cluster.topology.FailAll(Error(Code::kUnavailable, "etcd is down"));
  shard.cluster.shard_topology.SetReachable(false);
  Host& old = shard.Leader();
  old.Crash(true);
  EXPECT_TRUE(shard.AnotherLeads(old));
  EXPECT_TRUE(shard.WritesGoOn());
}

TEST(SimScenario, AnOrchestratorCutOffFromTheLeaderAloneChangesNothing) {
  Scenario shard;
  Host& leader = shard.Leader();
  const std::int64_t term = shard.Term(leader);
  shard.cluster.network.CutBoth(leader.index(), shard.cluster.orchestrator(0).index());
  shard.cluster.Run(60s);
  EXPECT_EQ(&shard.Leader(), &leader);
  EXPECT_EQ(shard.Term(leader), term);
  EXPECT_TRUE(shard.WritesGoOn());
}

TEST(SimScenario, WithBothStandbysDeadWritesHangAndGoOnWhenOneIsBack) {
  Scenario shard;
  auto followers = shard.Followers();
  for (Host* follower : followers) follower->Crash(false);
  shard.cluster.Run(1s);
  const std::size_t before = shard.cluster.acknowledged_writes();
  shard.cluster.Run(10s);
  EXPECT_EQ(shard.cluster.acknowledged_writes(), before);
  for (Host* follower : followers) {
    follower->Boot();
    follower->StartPooler();
  }
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_TRUE(shard.WritesGoOn());
}

TEST(SimScenario, ASlowStandbyHoldsNobodyUp) {
  Scenario shard;
  shard.Followers()[0]->postgres.SetDiskHung(true);
  shard.cluster.Run(5s);
  EXPECT_TRUE(shard.WritesGoOn());
}

TEST(SimScenario, AResigningLeaderHandsOverWithoutLoss) {
  Scenario shard;
  Host& old = shard.Leader();
  old.pooler()->calls().Spawn("resign", [](PoolerProcess& process) -> Awaitable<void> {
    auto resigned = co_await process.manager().agent().ResignLeadership(Deadline::Never());
    EXPECT_TRUE(resigned) << resigned.error().ToString();
  }(*old.pooler()));
  ASSERT_TRUE(shard.AnotherLeads(old));
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  shard.CheckNothingLost();
}

TEST(SimScenario, ALeaderWhosePoolerDiedBeforeItsFirstCheckpointCanBeRewoundAgainst) {
  Scenario shard;
  Host& old = shard.Leader();
  old.Crash(false);
  ASSERT_TRUE(shard.AnotherLeads(old));
  Host& leader = shard.Leader();
  ASSERT_NE(leader.postgres.disk().checkpoint_timeline, leader.postgres.wal().timeline());
  leader.KillPooler();
  leader.StartPooler();
  old.Boot();
  old.StartPooler();
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_EQ(&shard.Leader(), &leader);
}

TEST(SimScenario, AClusterComesUpFromNothing) {
  Scenario shard({.seed = 7, .members = 5, .orchestrators = 2, .from_bootstrap = true});
  EXPECT_TRUE(shard.WritesGoOn());
}

// --- what a model of the rule change found

::clustermetadata::TermRevocation Revocation(const std::string& coordinator, std::int64_t term,
                                             std::int64_t outgoing_term, std::int64_t outgoing_subterm) {
  return ::multigres::consensus::testing::Promise(term, outgoing_term, outgoing_subterm, coordinator);
}

// Trace 1: a slow coordinator's stale Recruit must not take the better promise's outgoing rule away.
TEST(SimScenario, AStaleRecruitKeepsTheOutgoingRuleOfThePromiseBefore) {
  Script shard;
  Host& leader = shard.Leader();
  ASSERT_TRUE(shard.Advance(leader));
  const auto rule = leader.postgres.VisibleRules()->decision().rule_number();
  const std::int64_t term = rule.coordinator_term();
  Host& follower = *shard.Followers()[0];
  ASSERT_TRUE(shard.Recruit(follower, Revocation("x", term + 1, term, rule.leader_subterm())));
  // Its own rule is newer than this one's outgoing rule: it doesn't cover it at all.
  auto stale = shard.Recruit(follower, Revocation("y", term + 2, term, rule.leader_subterm() - 1));
  EXPECT_FALSE(stale);
  // Nor does the leader of that rule get it back.
  ASSERT_TRUE(shard.SetPrimary(follower, shard.Led(leader)));
  shard.cluster.Run(2s);
  EXPECT_FALSE(follower.postgres.KeepsUpWith(leader.postgres));
}

// The decision is in its own WAL alone, and the change was given up for a recruitment that it didn't survive to answer.
// It serves on by the rule before; nothing is lost when another leader knows neither the decision nor what came after.
TEST(SimScenario, ALeaderThatFrozeWhileItDecidedServesOnByTheRuleBefore) {
  Script shard;
  Host& leader = shard.Leader();
  const auto rule = leader.postgres.VisibleRules()->decision().rule_number();
  const std::vector<Host*> followers = shard.Followers();
  const auto advance = shard.BeginAdvance(leader, rule);
  const auto open = [](const Host& host) { return ::multigres::consensus::HasProposal(host.postgres.RulesInWal()); };
  ASSERT_TRUE(shard.cluster.RunUntil([&] { return open(*followers[0]); }, 5s));
  leader.postgres.SetDiskHung(true);
  ASSERT_TRUE(shard.cluster.RunUntil([&] { return !open(leader); }, 5s));
  leader.postgres.SetFrozen(true);
  const auto promise = Revocation("x", rule.coordinator_term() + 1, rule.coordinator_term(), rule.leader_subterm() + 1);
  EXPECT_FALSE(shard.Recruit(leader, promise));
  EXPECT_FALSE(shard.Await(advance));
  for (Host* follower : followers) EXPECT_TRUE(shard.Recruit(*follower, promise));
  leader.postgres.SetDiskHung(false);
  leader.postgres.SetFrozen(false);
  EXPECT_TRUE(shard.cluster.RunUntil([&] { return shard.cluster.Serving().size() == 1; }, 10s));
  shard.cluster.orchestrator(0).Start();
  EXPECT_TRUE(shard.AnotherLeads(leader));
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_TRUE(shard.WritesGoOn());
  shard.CheckNothingLost();
}

// Everybody who could acknowledge has promised a term that nobody pursues: an advance of the rule would wait for them,
// too.
TEST(SimScenario, ALeaderWhoseFollowersAreAllPromisedElsewhereIsReplaced) {
  Script shard;
  Host& leader = shard.Leader();
  const auto rule = leader.postgres.VisibleRules()->decision().rule_number();
  const auto promise = Revocation("x", rule.coordinator_term() + 1, rule.coordinator_term(), rule.leader_subterm());
  for (Host* follower : shard.Followers()) EXPECT_TRUE(shard.Recruit(*follower, promise));
  shard.cluster.orchestrator(0).Start();
  EXPECT_TRUE(shard.Settles()) << shard.cluster.WhyNotSettled();
  EXPECT_GT(shard.Term(shard.Leader()), rule.coordinator_term() + 1);
  EXPECT_TRUE(shard.WritesGoOn());
  shard.CheckNothingLost();
}

TEST(SimScenario, ATermIsPromisedToOneAttemptAndNeverAgainToALowerOne) {
  Script shard;
  Host& leader = shard.Leader();
  const auto rule = leader.postgres.VisibleRules()->decision().rule_number();
  const std::int64_t term = rule.coordinator_term();
  Host& follower = *shard.Followers()[0];
  const auto first = Revocation("x", term + 2, term, rule.leader_subterm());
  ASSERT_TRUE(shard.Recruit(follower, first));
  EXPECT_TRUE(shard.Recruit(follower, first));
  EXPECT_FALSE(shard.Recruit(follower, Revocation("y", term + 2, term, rule.leader_subterm())));
  EXPECT_FALSE(shard.Recruit(follower, Revocation("y", term + 1, term, rule.leader_subterm())));
}

TEST(SimScenario, APromiseOutlivesAPowerLoss) {
  Script shard;
  Host& leader = shard.Leader();
  const auto rule = leader.postgres.VisibleRules()->decision().rule_number();
  Host& follower = *shard.Followers()[0];
  const auto promise = Revocation("x", rule.coordinator_term() + 1, rule.coordinator_term(), rule.leader_subterm());
  ASSERT_TRUE(shard.Recruit(follower, promise));
  follower.Crash(true);
  follower.Boot();
  follower.StartPooler();
  shard.cluster.Run(3s);
  const auto status = follower.pooler()->manager().agent().Status();
  EXPECT_EQ(status.term_revocation().SerializeAsString(), promise.SerializeAsString());
  // It still takes no part.
  ASSERT_TRUE(shard.SetPrimary(follower, shard.Led(leader)));
  shard.cluster.Run(2s);
  EXPECT_FALSE(follower.postgres.KeepsUpWith(leader.postgres));
}

}  // namespace
}  // namespace multigres::sim
