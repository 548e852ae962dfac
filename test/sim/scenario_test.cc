// Scenarios with names: one fault each, on the real agent, manager, engine and coordinator.
#include <gtest/gtest.h>

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/testing.h"
#include "test/sim/faults.h"

namespace multigres::sim {
namespace {

using namespace std::chrono_literals;
namespace pb = ::clustermetadata;

// Three members in three cells with a leader and writers, unless told otherwise.
class Scenario {
 public:
  explicit Scenario(ClusterOptions options = {.seed = 42}) : cluster(options) {
    EXPECT_TRUE(cluster.RunUntil([this] { return cluster.Settled(); }, 60s)) << cluster.WhyNotSettled();
    cluster.StartClients(2);
    cluster.Run(1s);
  }
  ~Scenario() { EXPECT_FALSE(cluster.trace.violation()) << *cluster.trace.violation() << "\n" << cluster.trace.Last(); }

  Host& Leader() {
    const auto serving = cluster.Serving();
    EXPECT_EQ(serving.size(), 1U);
    return *serving.at(0);
  }
  std::vector<Host*> Followers() {
    std::vector<Host*> followers;
    for (std::size_t i = 0; i < cluster.hosts(); ++i) {
      if (&cluster.host(i) != &Leader()) followers.push_back(&cluster.host(i));
    }
    return followers;
  }
  std::int64_t Term(Host& host) { return host.postgres.VisibleRules()->decision().rule_number().coordinator_term(); }
  bool Settles(Duration limit = 120s) {
    return cluster.RunUntil([this] { return cluster.Settled(); }, limit);
  }
  bool AnotherLeads(const Host& old, Duration limit = 120s) {
    return cluster.RunUntil(
        [&] {
          const auto serving = cluster.Serving();
          return std::ranges::any_of(serving, [&](Host* host) { return host != &old; });
        },
        limit);
  }
  bool WritesGoOn(Duration limit = 20s) {
    const std::size_t before = cluster.acknowledged_writes();
    return cluster.RunUntil([&] { return cluster.acknowledged_writes() > before + 3; }, limit);
  }
  void ExpectNothingLost() { cluster.judge.CheckComplete(Leader().postgres, "at the end"); }

  Cluster cluster;
};

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
  shard.ExpectNothingLost();
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
  shard.ExpectNothingLost();
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
  shard.ExpectNothingLost();
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
  shard.ExpectNothingLost();
}

TEST(SimScenario, AClusterComesUpFromNothing) {
  Scenario shard({.seed = 7, .members = 5, .orchestrators = 2, .from_bootstrap = true});
  EXPECT_TRUE(shard.WritesGoOn());
}

// --- what a model of the rule change found

pb::TermRevocation Revocation(const std::string& coordinator, std::int64_t term, std::int64_t outgoing_term,
                              std::int64_t outgoing_subterm) {
  return ::multigres::consensus::testing::Promise(term, outgoing_term, outgoing_subterm, coordinator);
}

class ByHand : public Scenario {
 public:
  ByHand() : Scenario({.seed = 11, .members = 4}) {
    cluster.orchestrator(0).Kill();
    cluster.Run(100ms);
  }

  Result<pb::ConsensusStatus> Recruit(Host& host, pb::TermRevocation revocation) {
    return Ask(host, [revocation](PoolerProcess& process) -> Awaitable<Result<pb::ConsensusStatus>> {
      co_return co_await process.manager().agent().Recruit(revocation, Deadline::Never());
    });
  }
  Result<pb::ConsensusStatus> SetPrimary(Host& host, pb::ReplicationPrimary primary) {
    return Ask(host, [primary](PoolerProcess& process) -> Awaitable<Result<pb::ConsensusStatus>> {
      co_return co_await process.manager().agent().SetPrimary(primary, Deadline::Never());
    });
  }
  // The leader's rule as SetPrimary tells it.
  pb::ReplicationPrimary Led(Host& leader) {
    pb::ReplicationPrimary primary;
    *primary.mutable_position() = *leader.postgres.VisibleRules();
    *primary.mutable_primary()->mutable_id() = leader.id();
    primary.mutable_primary()->set_host(leader.member());
    primary.mutable_primary()->set_postgres_port(5432);
    return primary;
  }
  // Subterm + 1, by the leader.
  void Advance(Host& leader) {
    ::multipoolermanagerdata::UpdateConsensusRuleRequest request;
    request.set_operation(::multipoolermanagerdata::RULE_OPERATION_ADVANCE);
    *request.mutable_expected_outgoing_rule() = leader.postgres.VisibleRules()->decision().rule_number();
    *request.mutable_coordinator_id() = ::multigres::consensus::testing::Coordinator("x");
    auto advanced = Ask(leader, [request](PoolerProcess& process) -> Awaitable<Result<pb::ConsensusStatus>> {
      auto position = co_await process.manager().agent().UpdateConsensusRule(request, Deadline::Never());
      if (!position) co_return std::unexpected(std::move(position.error()));
      co_return pb::ConsensusStatus();
    });
    ASSERT_TRUE(advanced) << advanced.error().ToString();
  }

 private:
  Result<pb::ConsensusStatus> Ask(Host& host,
                                  std::function<Awaitable<Result<pb::ConsensusStatus>>(PoolerProcess&)> work) {
    std::optional<Result<pb::ConsensusStatus>> answer;
    host.pooler()->calls().Spawn("ask", [](PoolerProcess& process, auto work, auto& answer) -> Awaitable<void> {
      answer = co_await work(process);
    }(*host.pooler(), std::move(work), answer));
    EXPECT_TRUE(cluster.RunUntil([&answer] { return answer.has_value(); }, 90s));
    return answer ? std::move(*answer) : Result<pb::ConsensusStatus>(Fail(Code::kUnknown, "no answer"));
  }
};

// Trace 1: a slow coordinator's stale Recruit must not take the better promise's outgoing rule away.
TEST(SimScenario, AStaleRecruitKeepsTheOutgoingRuleOfThePromiseBefore) {
  ByHand shard;
  Host& leader = shard.Leader();
  shard.Advance(leader);
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

TEST(SimScenario, ATermIsPromisedToOneAttemptAndNeverAgainToALowerOne) {
  ByHand shard;
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
  ByHand shard;
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
