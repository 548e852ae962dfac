// A leader that goes on purpose, by ResignLeadership or SIGTERM, with writers at work: nothing is lost, and its
// followers hold all that it wrote.
#include "common/consensus/lsn.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;

// Rows that were acknowledged to a client that writes one after the other.
struct Writer {
  explicit Writer(Member& leader) : session(leader.sql->reactor(), leader.config.admin) {}

  Awaitable<void> Run(int from) {
    for (int row = from;; ++row) {
      auto inserted =
          co_await session.Scalar("INSERT INTO t VALUES (" + std::to_string(row) + ")", session.clock().After(20s));
      if (!inserted) co_return;
      acknowledged.push_back(row);
    }
  }

  replication::AdminSessions session;
  std::vector<int> acknowledged;
};

Awaitable<void> ExpectAll(Member& member, const std::vector<int>& rows) {
  member.sql->DropIdle();
  auto found = co_await Sql(
      member, "SELECT count(DISTINCT i) FROM t WHERE i = ANY('{" + fmt::format("{}", fmt::join(rows, ",")) + "}')");
  if (Ok(found)) EXPECT_EQ(*found, std::to_string(rows.size())) << member.config.id.name();
}

multigres::consensus::Lsn ReceivedBy(const Member& member) {
  const auto status = Members::StatusOf(member).status().replication_status();
  return std::max(multigres::consensus::LsnOrLowest(status.last_receive_lsn()),
                  multigres::consensus::LsnOrLowest(status.last_replay_lsn()))
      .value_or(multigres::consensus::Lsn{});
}

// Starts a shard of three with a leader and a table.
Awaitable<Member*> StartShard(Members& members, Orchestration& orchestration) {
  co_await members.BringUp();
  auto appointed = co_await orchestration.Appoint(true);
  if (!Ok(appointed)) co_return nullptr;
  Member& leader = orchestration.LeaderOf(*appointed);
  EXPECT_TRUE(co_await Serves(members, leader, RoutingRole::kPrimary));
  Ok(co_await Sql(leader, "CREATE TABLE t(i int)"));
  for (const std::size_t index : Others(members, leader)) {
    Member* other = members.members[index].get();
    EXPECT_TRUE(co_await members.Until([other] {
      return Members::StatusOf(*other).status().replication_status().wal_receiver_status() == "streaming";
    }));
  }
  co_return &leader;
}

TEST(Handover, AResigningLeaderLosesNothingAndNeedsNoRewind) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    Orchestration orchestration(members);
    Member* leader = co_await StartShard(members, orchestration);
    if (leader != nullptr) {
      Writer writer(*leader);
      TaskGroup tasks(reactor.executor());
      tasks.Spawn("writer", writer.Run(0));
      EXPECT_TRUE(co_await members.Until([&] { return writer.acknowledged.size() > 50; }));
      const TimePoint asked = reactor.clock().Now();
      auto end = co_await leader->manager->agent().ResignLeadership(Deadline());
      std::printf("[ resigned ] after %.0f ms\n",
                  std::chrono::duration<double, std::milli>(reactor.clock().Now() - asked).count());
      co_await tasks.Join();
      if (Ok(end)) {
        const auto lsn = multigres::consensus::LsnOrLowest(*end);
        for (const std::size_t index : Others(members, *leader)) {
          EXPECT_TRUE(co_await members.Until([&] { return ReceivedBy(*members.members[index]) >= *lsn; }));
        }
      }
      Member* successor = members.members[Others(members, *leader)[0]].get();
      auto appointed = co_await orchestration.Appoint(false, {0, 1, 2}, successor);
      if (Ok(appointed)) {
        Member& next = orchestration.LeaderOf(*appointed);
        EXPECT_NE(&next, leader);
        EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
        EXPECT_TRUE(co_await RewindReady(members, next));
        co_await orchestration.Follow(*leader, Members::StatusOf(next).consensus_status().replication_primary());
        EXPECT_TRUE(co_await Serves(members, *leader, RoutingRole::kReplica));
        EXPECT_EQ(leader->process->rewinds, 0);
        co_await ExpectAll(next, writer.acknowledged);
      }
    }
    co_await members.TearDown();
  });
}

TEST(Handover, AStoppedLeadersLastWalReachesItsFollowers) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    Orchestration orchestration(members);
    Member* leader = co_await StartShard(members, orchestration);
    if (leader != nullptr) {
      Writer writer(*leader);
      TaskGroup tasks(reactor.executor());
      tasks.Spawn("writer", writer.Run(0));
      EXPECT_TRUE(co_await members.Until([&] { return writer.acknowledged.size() > 50; }));
      // Whoever hears that it leaves hears that its server is down.
      bool left_while_writing = false;
      auto subscription = leader->manager->health().Listen(reactor, [&](const PoolerManager::HealthState& state) {
        if (!state.snapshot) return;
        const auto signal = state.snapshot->availability_status().cohort_eligibility_status().signal();
        left_while_writing |=
            signal == pb::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE && state.snapshot->status().postgres_running();
      });
      co_await leader->manager->Stop();
      subscription.Reset();
      EXPECT_FALSE(left_while_writing);
      co_await tasks.Join();
      leader->manager.reset();
      // The shutdown checkpoint is the last record; its start is in the control file.
      auto control = co_await leader->controller->Start({});
      Ok(control);
      leader->sql->DropIdle();
      auto end = co_await Sql(*leader, "SELECT checkpoint_lsn FROM pg_control_checkpoint()");
      if (Ok(end)) {
        const auto lsn = multigres::consensus::LsnOrLowest(*end);
        for (const std::size_t index : Others(members, *leader)) {
          Member& other = *members.members[index];
          EXPECT_TRUE(co_await members.Until([&] { return ReceivedBy(other) > *lsn; }))
              << other.config.id.name() << " " << *end;
          co_await ExpectAll(other, writer.acknowledged);
        }
      }
    }
    co_await members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
