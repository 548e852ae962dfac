// The agent of one member alone over its PostgreSQL in memory: what an operation must refuse or wait for, step by step.
#include <gtest/gtest.h>

#include "common/consensus/testing.h"
#include "services/multipooler/consensus/agent.h"
#include "test/sim/postgres_access.h"
#include "tools/async/task_group.h"
#include "tools/clock/virtual_clock.h"
#include "tools/fs/memory_disk.h"

namespace multigres::sim {
namespace {

using namespace std::chrono_literals;
using ::multigres::consensus::testing::Decided;
using ::multigres::consensus::testing::Promise;
using ::multigres::consensus::testing::Rule;
using pooler::consensus::Agent;
namespace pb = ::clustermetadata;

constexpr std::string_view kSelf = "z1_a";

class QuietHost final : public pooler::consensus::AgentHost {
 public:
  explicit QuietHost(Executor executor) : tasks(executor) {}
  Awaitable<void> DrainForDemotion(Duration grace) override {
    drained_for = grace;
    co_return;
  }
  Awaitable<void> OnConsensusChanged() override { co_return; }
  Awaitable<void> OnServerRestarted() override { co_return; }
  void CheckpointSoon() override {}
  void WakeMonitor() override {}
  void InBackground(std::string_view name, Awaitable<void> task) override { tasks.Spawn(name, std::move(task)); }

  TaskGroup tasks;
  std::optional<Duration> drained_for;
};

// z1_a of the cohort z1_a, z2_b, z3_c; the others are not there. Its own WAL ends with `rules`, and its pooler has just
// started: it knows nothing else.
class LoneMember {
 public:
  LoneMember(const pb::RulePosition& rules, const pb::TermRevocation& promise, bool primary) {
    state.self = ::multigres::consensus::testing::Member(kSelf);
    *state.address.mutable_id() = state.self;
    EXPECT_TRUE(promises->StoreRevocation(promise));
    postgres.Initialize("7000");
    const auto timeline = static_cast<std::uint32_t>(primary ? promise.revoked_below_term() + 1 : 1);
    postgres.Append(ledger.MakeRule(Record::Kind::kDecision, timeline, postgres.wal().last(),
                                    std::make_shared<const pb::RulePosition>(rules)),
                    false);
    postgres.Start(primary);
    Run(1s);
  }
  ~LoneMember() {
    // Over once nothing waits any more.
    TaskGroup ending(reactor.executor());
    ending.Spawn("end", host.tasks.CancelAndJoin());
    calls.Spawn("end", pgctld->tasks().CancelAndJoin());
    Run(60s);
    EXPECT_EQ(calls.size() + ending.size(), 0U);
  }

  void Run(Duration duration) {
    const TimePoint end = clock.Now() + duration;
    while (clock.Now() < end) {
      clock.Advance(5ms);
      postgres.Pump();
      while (reactor.RunTurn()) {
      }
    }
  }
  template <class T>
  std::shared_ptr<std::optional<T>> Spawn(Awaitable<T> work) {
    auto answer = std::make_shared<std::optional<T>>();
    calls.Spawn("call", [](Awaitable<T> work, std::shared_ptr<std::optional<T>> answer) -> Awaitable<void> {
      answer->emplace(co_await std::move(work));
    }(std::move(work), answer));
    return answer;
  }
  template <class T>
  T Await(Awaitable<T> work) {
    auto answer = Spawn(std::move(work));
    Run(2s);
    if (!answer->has_value()) throw std::runtime_error("no answer within two seconds");
    return std::move(**answer);
  }
  // This process has promoted it and seen the acknowledgement.
  void LetItServe(std::int64_t term) {
    EXPECT_TRUE(Await(agent.Observe(clock.After(1s))));
    state.writes_admitted = true;
    state.admitted_term = term;
    EXPECT_TRUE(agent.IsWritableLeader());
  }

  VirtualClock clock;
  std::unique_ptr<Random> random = SeededRandom(1);
  Trace trace{clock};
  Network network{clock, *random};
  Ledger ledger;
  PostgresWorld world{clock, *random, network, ledger, trace, {}};
  Reactor reactor{clock};
  MemoryPostgres postgres{world, std::string(kSelf), 0};
  std::shared_ptr<MemoryPgctld> pgctld = std::make_shared<MemoryPgctld>(world, postgres, reactor.executor());
  PostgresAccess access{world, postgres, pgctld, clock};
  fs::MemoryDisk disk;
  std::unique_ptr<pooler::consensus::PromiseStore> promises =
      std::move(*pooler::consensus::PromiseStore::Open({disk, "/pooler", access.Seams().data, std::string(kSelf)}));
  Mutex lock;
  QuietHost host{reactor.executor()};
  pooler::consensus::MemberState state;
  Agent agent{{.pooler_dir = "/pooler", .user = "postgres", .passfile = "/pooler/pgpass"},
              state,
              Agent::Seams{access.Seams(), disk, *promises, lock, host},
              Logger()};
  TaskGroup calls{reactor.executor()};
};

pb::ShardRule OwnRule(std::int64_t term) {
  return Rule(term, 0, kSelf, {kSelf, "z2_b", "z3_c"});
}

pb::ReplicationPrimary Leader(const pb::ShardRule& rule) {
  pb::ReplicationPrimary primary;
  *primary.mutable_position() = Decided(rule);
  *primary.mutable_primary()->mutable_id() = rule.leader_id();
  primary.mutable_primary()->set_host("there");
  primary.mutable_primary()->set_postgres_port(5432);
  return primary;
}

::consensusdata::PromoteRequest PromoteTo(const pb::ShardRule& rule, const pb::ShardRule& outgoing) {
  ::consensusdata::PromoteRequest request;
  auto& proposal = *request.mutable_proposal();
  *proposal.mutable_term_revocation() =
      Promise(rule.rule_number().coordinator_term(), outgoing.rule_number().coordinator_term(), 0);
  *proposal.mutable_proposal_leader()->mutable_id() = rule.leader_id();
  *proposal.mutable_proposed_transition()->mutable_decision() = outgoing;
  *proposal.mutable_proposed_transition()->mutable_proposal() = rule;
  return request;
}

TEST(SimAgent, ADecisionFoundByARepeatedPromoteServesOnlyOnceAQuorumConfirmsIt) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  auto promoted = member.Spawn(member.agent.Promote(PromoteTo(OwnRule(5), OwnRule(4)), Deadline::Never()));
  member.Run(10s);
  EXPECT_FALSE(promoted->has_value());
  EXPECT_FALSE(member.agent.IsWritableLeader());
  member.Run(30s);
  ASSERT_TRUE(promoted->has_value());
  EXPECT_FALSE(**promoted);
  EXPECT_FALSE(member.agent.IsWritableLeader());
}

TEST(SimAgent, ARepeatedPromoteOfWhatAlreadyServesChangesNothing) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  member.LetItServe(5);
  // It would wait for a quorum, and nobody is there.
  auto promoted = member.Await(member.agent.Promote(PromoteTo(OwnRule(5), OwnRule(4)), Deadline::Never()));
  EXPECT_TRUE(promoted) << promoted.error().ToString();
  EXPECT_TRUE(member.agent.IsWritableLeader());
}

TEST(SimAgent, ARepeatedPromoteMustHaveTheContentOfTheRuleInTheWal) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  const std::vector<pb::ShardRule> others = {
      Rule(5, 0, kSelf, {kSelf, "z2_b"}),
      Rule(5, 0, kSelf, {kSelf, "z2_b", "z3_c"}, ::multigres::consensus::AtLeast(3)),
  };
  for (const pb::ShardRule& other : others) {
    auto promoted = member.Await(member.agent.Promote(PromoteTo(other, OwnRule(4)), Deadline::Never()));
    ASSERT_FALSE(promoted);
    EXPECT_EQ(promoted.error().code(), Code::kDataLoss) << promoted.error().ToString();
  }
}

TEST(SimAgent, AHigherLeaderThatIsKnownIsNotForgottenForALowerPromotion) {
  const pb::ShardRule later = Rule(6, 0, "z2_b", {kSelf, "z2_b", "z3_c"});
  LoneMember member(Decided(OwnRule(4)), Promise(5, 4, 0), false);
  // Told, but not followed yet.
  member.state.recorded_primary = Leader(later);
  auto promoted = member.Await(member.agent.Promote(PromoteTo(OwnRule(5), OwnRule(4)), Deadline::Never()));
  ASSERT_FALSE(promoted);
  EXPECT_EQ(promoted.error().code(), Code::kFailedPrecondition) << promoted.error().ToString();
  EXPECT_TRUE(member.postgres.in_recovery());
  EXPECT_EQ(member.state.recorded_primary->position().decision().rule_number().coordinator_term(), 6);
}

// The process before was killed between the end of a rewind and the removal of its mark.
TEST(SimAgent, APromotedMemberKeepsNoMarkOfARewind) {
  LoneMember member(Decided(OwnRule(4)), Promise(5, 4, 0), false);
  ASSERT_TRUE(member.disk.Write(pooler::consensus::RewindSentinel("/pooler"), "", 0600));
  ASSERT_TRUE(member.agent.RewindWasInterrupted());
  auto promoted = member.Spawn(member.agent.Promote(PromoteTo(OwnRule(5), OwnRule(4)), Deadline::Never()));
  member.Run(1s);
  EXPECT_FALSE(member.postgres.in_recovery());
  EXPECT_FALSE(member.agent.RewindWasInterrupted()) << "it would take itself for diverged";
  member.Run(60s);
  EXPECT_TRUE(promoted->has_value());
}

Awaitable<Result<>> ReadmitUnderTheLock(LoneMember& member) {
  auto guard = co_await member.lock.Lock(member.clock, Deadline::Never(), "monitor");
  co_return co_await member.agent.Readmit(member.clock.After(60s));
}

// It led, its pooler was away meanwhile, and another leads by now: nobody will ever confirm its rule.
TEST(SimAgent, AHigherLeaderEndsTheWaitForAConfirmationThatNobodyGives) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  ASSERT_TRUE(member.Await(member.agent.Observe(member.clock.After(1s))));
  auto readmitted = member.Spawn(ReadmitUnderTheLock(member));
  member.Run(1s);
  // What came before it changes nothing.
  auto older =
      member.Spawn(member.agent.SetPrimary(Leader(Rule(4, 1, "z2_b", {kSelf, "z2_b", "z3_c"})), Deadline::Never()));
  member.Run(1s);
  EXPECT_FALSE(readmitted->has_value());
  auto told =
      member.Await(member.agent.SetPrimary(Leader(Rule(6, 0, "z2_b", {kSelf, "z2_b", "z3_c"})), Deadline::Never()));
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().code(), Code::kUnavailable) << "it must be rewound, and the leader isn't ready for that";
  ASSERT_TRUE(readmitted->has_value());
  EXPECT_FALSE(**readmitted);
  EXPECT_TRUE(member.state.suspected_divergence);
  EXPECT_FALSE(member.agent.IsWritableLeader());
}

TEST(SimAgent, ARecruitedLeaderDoesNotDrainForCommitsThatNobodyAcknowledges) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  member.LetItServe(5);
  auto recruited = member.Spawn(member.agent.Recruit(Promise(6, 5, 0), Deadline::Never()));
  member.Run(5s);
  ASSERT_TRUE(recruited->has_value());
  EXPECT_TRUE(**recruited) << (**recruited).error().ToString();
  EXPECT_TRUE(member.postgres.in_recovery());
  ASSERT_TRUE(member.host.drained_for);
  EXPECT_LE(*member.host.drained_for, 500ms);
}

TEST(SimAgent, TheEndOfAPromotionWaitsForItsTurnAndLeavesAFollowersSettingsAlone) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  member.LetItServe(5);
  member.postgres.ChangeSetting("primary_conninfo", "host='before'");
  auto guard = member.Await(member.lock.Lock(member.clock, Deadline::Never(), "another operation"));
  ASSERT_TRUE(guard);
  auto finished = member.Spawn(member.agent.FinishPromotion());
  member.Run(1s);
  EXPECT_EQ(member.postgres.Setting("primary_conninfo"), "host='before'");
  // What holds the lock makes it a follower.
  member.state.recorded_primary = Leader(Rule(6, 0, "z2_b", {kSelf, "z2_b", "z3_c"}));
  member.postgres.ChangeSetting("primary_conninfo", "host='z2_b'");
  guard->Unlock();
  member.Run(1s);
  EXPECT_TRUE(finished->has_value());
  EXPECT_EQ(member.postgres.Setting("primary_conninfo"), "host='z2_b'");
}

TEST(SimAgent, TheEndOfAPromotionClearsWhatTheStandbyFollowed) {
  LoneMember member(Decided(OwnRule(5)), Promise(5, 4, 0), true);
  member.LetItServe(5);
  member.postgres.ChangeSetting("primary_conninfo", "host='before'");
  EXPECT_TRUE(member.Await(member.agent.FinishPromotion()));
  EXPECT_EQ(member.postgres.Setting("primary_conninfo"), "");
}

}  // namespace
}  // namespace multigres::sim
