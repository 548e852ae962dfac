#include "services/multiorch/recovery/failover_log.h"

#include <gtest/gtest.h>

#include "services/multiorch/recovery/testing_shard.h"

namespace multigres::orch {
namespace {

using namespace testing_shard;
using consensus::testing::Coordinator;
using consensus::testing::Decided;
using consensus::testing::kNow;
using consensus::testing::Rule;

constexpr std::string_view kName = "postgres/default/0-inf";

// A log that looks at a shard now and then.
class Watch {
 public:
  explicit Watch(Shard& shard) : shard_(shard) {
    shard_.extra.key.set_database("postgres");
    shard_.extra.key.set_table_group("default");
    shard_.extra.key.set_shard("0-inf");
  }

  void Look(Duration at) {
    const Moment now{kStart + at, kNow + at};
    const ShardView view = shard_.View();
    const auto problems = Analyse(view, now, self_);
    const ShardFacts facts = Examine(view);
    log.Observe({view, facts, now, self_, thresholds_}, problems);
  }
  void Attempt(Duration at) { log.Attempt(std::string(kName), kNow + at); }
  void Succeed(Duration at) {
    auto rule = Rule(2, 0, "z2_b", kCohort);
    *rule.mutable_coordinator_id() = self_;
    log.Conclude(std::string(kName),
                 {.term = 2, .rule = rule, .recruited_at = kNow + at - 10ms, .decided_at = kNow + at});
  }
  void Fail() { log.Conclude(std::string(kName), {.term = 2, .rule = multigres::Fail(Code::kUnavailable, "lost")}); }
  FailoverTimeline Only() const {
    const auto timelines = log.Timelines();
    EXPECT_EQ(timelines.size(), 1u);
    return timelines.empty() ? FailoverTimeline() : timelines[0];
  }

  FailoverLog log{Logger()};

 private:
  Shard& shard_;
  const ::clustermetadata::ID self_ = Coordinator("me");
  const Thresholds thresholds_;
};

void LoseLeader(Shard& shard) {
  shard.Silence("z1_a");
  shard.Still("z2_b", 2s);
  shard.Still("z3_c", 2s);
}

// z2_b leads by 2.0, z3_c follows.
void Replace(Shard& shard) {
  shard.SetRules(Decided(Rule(2, 0, "z2_b", kCohort)));
  shard.RunAsPrimary("z2_b");
  auto& leader = *shard.Status("z2_b").mutable_status();
  leader.clear_replication_status();
  leader.mutable_primary_status()->set_lsn("0/200");
  shard.Pooler("z2_b").write_stall = 100ms;
  shard.Replication("z3_c").mutable_primary_conn_info()->set_host("z2_b.test");
  shard.Still("z3_c", 100ms);
}

TEST(FailoverLog, KeepsEveryStep) {
  Shard shard;
  Watch watch(shard);
  std::vector<FailoverTimeline> settled;
  watch.log.SetListener([&](const FailoverTimeline& timeline) { settled.push_back(timeline); });
  watch.Look(-1s);
  EXPECT_TRUE(watch.log.Timelines().empty());
  LoseLeader(shard);
  watch.Look(0s);
  watch.Attempt(5ms);
  watch.Succeed(100ms);
  EXPECT_TRUE(settled.empty());
  Replace(shard);
  watch.Look(150ms);
  ASSERT_EQ(settled.size(), 1u);
  watch.Look(200ms);
  EXPECT_EQ(settled.size(), 1u) << "told once";
  const FailoverTimeline timeline = watch.Only();
  EXPECT_EQ(timeline.reason, ProblemCode::kLeaderUnreachableByCohort);
  EXPECT_EQ(timeline.old_leader, "z1_a");
  EXPECT_EQ(timeline.new_leader, "z2_b");
  EXPECT_EQ(timeline.coordinator, "zone1_me");
  EXPECT_EQ(timeline.last_sign, kNow - 2s - 100ms);
  EXPECT_EQ(timeline.detected, kNow);
  EXPECT_EQ(timeline.started, kNow + 5ms);
  EXPECT_EQ(timeline.recruited, kNow + 90ms);
  EXPECT_EQ(timeline.rule_written, kNow + 100ms);
  EXPECT_EQ(timeline.first_write, kNow + 150ms);
  EXPECT_EQ(timeline.followers_attached, kNow + 150ms);
  EXPECT_FALSE(timeline.old_leader_back);
  EXPECT_FALSE(timeline.needless);
}

TEST(FailoverLog, KnowsANeedlessOne) {
  Shard shard;
  Watch watch(shard);
  LoseLeader(shard);
  watch.Look(0s);
  watch.Attempt(5ms);
  *shard.Replication("z3_c").mutable_leader_heartbeat_advanced_at() = consensus::ToTimestamp(kNow + 200ms);
  watch.Look(400ms);
  EXPECT_FALSE(watch.Only().needless) << "may have been on its way";
  *shard.Replication("z3_c").mutable_leader_heartbeat_advanced_at() = consensus::ToTimestamp(kNow + 400ms);
  watch.Look(500ms);
  EXPECT_TRUE(watch.Only().needless);
  watch.Succeed(600ms);
  Replace(shard);
  watch.Look(700ms);
  EXPECT_TRUE(watch.Only().needless);
}

TEST(FailoverLog, ForgetsAFalseAlarmAndAnAttemptThatChangedNothing) {
  Shard shard;
  Watch watch(shard);
  LoseLeader(shard);
  watch.Look(0s);
  EXPECT_EQ(watch.log.Timelines().size(), 1u);
  watch.Attempt(5ms);
  shard = Shard();
  Watch fresh(shard);
  watch.Look(100ms);
  EXPECT_EQ(watch.log.Timelines().size(), 1u) << "still trying";
  watch.Fail();
  watch.Look(200ms);
  EXPECT_TRUE(watch.log.Timelines().empty());
}

TEST(FailoverLog, SeesAnotherOrchestratorsFailoverFromOutside) {
  Shard shard;
  Watch watch(shard);
  LoseLeader(shard);
  watch.Look(0s);
  Replace(shard);
  watch.Look(150ms);
  const FailoverTimeline timeline = watch.Only();
  EXPECT_EQ(timeline.attempts, 0);
  EXPECT_FALSE(timeline.started);
  EXPECT_FALSE(timeline.recruited);
  EXPECT_EQ(timeline.new_leader, "z2_b");
  EXPECT_TRUE(timeline.Settled());
}

TEST(FailoverLog, BeginsAnotherOneWhenTheNewLeaderFailsToo) {
  Shard shard;
  Watch watch(shard);
  LoseLeader(shard);
  watch.Look(0s);
  watch.Attempt(5ms);
  watch.Succeed(100ms);
  Replace(shard);
  watch.Look(150ms);
  shard.KillPostgres("z2_b");
  watch.Look(300ms);
  const auto timelines = watch.log.Timelines();
  ASSERT_EQ(timelines.size(), 2u);
  EXPECT_EQ(timelines[0].old_leader, "z2_b");
  EXPECT_FALSE(timelines[0].rule_written);
  EXPECT_EQ(timelines[1].new_leader, "z2_b");
}

TEST(FailoverLog, IsBounded) {
  Shard shard;
  Watch watch(shard);
  for (std::size_t i = 0; i < FailoverLog::kKept + 5; ++i) {
    const auto term = static_cast<std::int64_t>(i) + 1;
    shard.SetRules(Decided(Rule(term, 0, "z1_a", kCohort)));
    shard.KillPostgres("z1_a");
    watch.Look(0s);
    shard.Status("z1_a").mutable_status()->set_postgres_running(true);
    shard.Status("z1_a").mutable_status()->set_postgres_ready(true);
    shard.SetRules(Decided(Rule(term + 1, 0, "z1_a", kCohort)));
    watch.Look(100ms);
  }
  EXPECT_EQ(watch.log.Timelines().size(), FailoverLog::kKept);
}

}  // namespace
}  // namespace multigres::orch
