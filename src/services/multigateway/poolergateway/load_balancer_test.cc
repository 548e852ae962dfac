#include "services/multigateway/poolergateway/load_balancer.h"

#include <gtest/gtest.h>

#include <set>

namespace multigres::gateway::poolergateway {
namespace {

using std::chrono::seconds;

constexpr ShardTarget kShard{"postgres", "default", "0-inf"};

class LoadBalancerTest : public testing::Test {
 protected:
  void Add(const std::string& id, const std::string& cell, PoolerHealth health) {
    balancer_.Upsert({id, cell, "postgres", "default", "0-inf", "host:1"});
    balancer_.SetHealth(id, health);
  }
  static PoolerHealth Leader(std::int64_t term, std::int64_t subterm = 0) {
    return {.live = true, .serving = Serving::kServing, .primary = true, .rule = {term, subterm}};
  }
  static PoolerHealth Replica(Duration lag = Duration(0)) {
    return {.live = true, .serving = Serving::kServing, .replication_lag = lag};
  }
  std::string PickedLeader() {
    const std::string* id = balancer_.PickLeader(kShard);
    return id == nullptr ? "" : *id;
  }
  std::set<std::string> PickedReplicas() {
    std::set<std::string> picked;
    for (int i = 0; i < 200; i++) {
      const std::string* id = balancer_.PickReplica(kShard);
      if (id != nullptr) picked.insert(*id);
    }
    return picked;
  }

  std::unique_ptr<Random> random_ = SeededRandom(1);
  LoadBalancer balancer_{{.local_cell = "zone1", .high_replication_lag_tolerance = seconds(300)}, *random_};
};

TEST_F(LoadBalancerTest, TheHighestRuleLeads) {
  EXPECT_EQ(PickedLeader(), "");
  Add("a", "zone1", Leader(3, 1));
  Add("b", "zone2", Leader(3, 2));
  Add("c", "zone3", Leader(2, 9));
  EXPECT_EQ(PickedLeader(), "b");
}

TEST_F(LoadBalancerTest, AStaleClaimLosesAgainstALaterTermAtOnce) {
  Add("frozen", "zone1", Leader(3));
  PoolerHealth follower = Replica();
  follower.rule = {3, 5};
  Add("follower", "zone2", follower);
  EXPECT_EQ(PickedLeader(), "frozen");  // a later subterm is its own rule
  follower.rule = {4, 0};
  balancer_.SetHealth("follower", follower);
  EXPECT_EQ(PickedLeader(), "");
  EXPECT_FALSE(balancer_.LeaderServes(kShard));
  Add("new", "zone3", Leader(4));
  EXPECT_EQ(PickedLeader(), "new");
  EXPECT_TRUE(balancer_.LeaderServes(kShard));
}

TEST_F(LoadBalancerTest, ALeaderGoesWhenItsStreamDoesOrItStepsDown) {
  Add("a", "zone1", Leader(3));
  Add("b", "zone2", Leader(2));
  PoolerHealth stale = Leader(3);
  stale.live = false;
  balancer_.SetHealth("a", stale);
  EXPECT_EQ(PickedLeader(), "b");
  balancer_.SetHealth("b", Replica());
  EXPECT_EQ(PickedLeader(), "");
  Add("c", "zone1", Leader(4));
  EXPECT_EQ(PickedLeader(), "c");
  balancer_.Remove("c");
  EXPECT_EQ(PickedLeader(), "");
}

TEST_F(LoadBalancerTest, ALeaderStaysWhileItDrains) {
  PoolerHealth draining = Leader(3);
  draining.serving = Serving::kDraining;
  Add("a", "zone1", draining);
  EXPECT_EQ(PickedLeader(), "a");
  EXPECT_FALSE(balancer_.LeaderServes(kShard));
}

TEST_F(LoadBalancerTest, OtherShardsAreNoneOfItsBusiness) {
  balancer_.Upsert({"a", "zone1", "other", "default", "0-inf", "host:1"});
  balancer_.SetHealth("a", Leader(1));
  EXPECT_EQ(PickedLeader(), "");
  EXPECT_TRUE(PickedReplicas().empty());
}

TEST_F(LoadBalancerTest, NeverReadsFromALeader) {
  Add("a", "zone1", Leader(1));
  EXPECT_TRUE(PickedReplicas().empty());
}

TEST_F(LoadBalancerTest, PrefersReplicasThatLagLittleThenThoseNearby) {
  Add("near", "zone1", Replica());
  Add("near2", "zone1", Replica(seconds(1)));
  Add("far", "zone2", Replica());
  Add("late", "zone1", Replica(seconds(60)));
  EXPECT_EQ(PickedReplicas(), (std::set<std::string>{"near", "near2"}));
  balancer_.Remove("near");
  balancer_.Remove("near2");
  EXPECT_EQ(PickedReplicas(), std::set<std::string>{"far"});
  balancer_.Remove("far");
  EXPECT_EQ(PickedReplicas(), std::set<std::string>{"late"});
}

TEST_F(LoadBalancerTest, DropsReplicasThatLagTooMuch) {
  Add("late", "zone1", Replica(seconds(301)));
  EXPECT_TRUE(PickedReplicas().empty());
}

TEST_F(LoadBalancerTest, AServingReplicaThatLagsBeatsOneThatDoesNotServe) {
  PoolerHealth down;
  Add("down", "zone1", down);
  EXPECT_EQ(PickedReplicas(), std::set<std::string>{"down"});
  Add("late", "zone2", Replica(seconds(60)));
  EXPECT_EQ(PickedReplicas(), std::set<std::string>{"late"});
}

TEST_F(LoadBalancerTest, AnyPoolerThatIsUpWillDoForServerWideQuestions) {
  EXPECT_EQ(balancer_.PickAny(), nullptr);
  Add("a", "zone2", Leader(1));
  ASSERT_NE(balancer_.PickAny(), nullptr);
  EXPECT_EQ(*balancer_.PickAny(), "a");
}

}  // namespace
}  // namespace multigres::gateway::poolergateway
