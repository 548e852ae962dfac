// What a pooler notices of its PostgreSQL, and how fast: three members, real servers.
#include <csignal>

#include "common/consensus/rule_number.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;

std::int64_t ToNs(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1000000000 + time.nanos();
}

double Ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// Every status that a health stream would be given.
class Reports {
 public:
  Reports(Reactor& reactor, Member& member) : reactor_(reactor) {
    subscription_ = member.manager->health().Listen(reactor, [this](const PoolerManager::HealthState& state) {
      if (!state.snapshot) return;
      ++count;
      changes = state.changes;
      last = *state.snapshot;
      if (!last.status().postgres_ready()) ever_unready = true;
      if (Check && Check(last) && !first_match) first_match = reactor_.clock().Now();
    });
  }

  std::size_t count = 0;
  std::uint64_t changes = 0;
  bool ever_unready = false;
  ::multipoolermanagerdata::StatusResponse last;
  std::function<bool(const ::multipoolermanagerdata::StatusResponse&)> Check;
  std::optional<TimePoint> first_match;

 private:
  Reactor& reactor_;
  Published<PoolerManager::HealthState>::Subscription subscription_;
};

// All of a member's server processes, stopped and continued like by a frozen host; whatever happens they are continued.
class Freeze {
 public:
  explicit Freeze(const Member& member) {
    // Twice: until its postmaster stands still there may be new ones.
    for (int pass = 0; pass < 2; ++pass) {
      for (const auto& process : pgctld::DataDirectory(member.config.data_dir).FindProcesses()) {
        pids_.push_back(process.pid);
        ::kill(process.pid, SIGSTOP);
      }
    }
    EXPECT_FALSE(pids_.empty());
  }
  ~Freeze() { Thaw(); }
  void Thaw() {
    for (const pid_t pid : pids_) ::kill(pid, SIGCONT);
    pids_.clear();
  }

 private:
  std::vector<pid_t> pids_;
};

// Connections with the member's unix socket, accepted or not.
std::size_t Connections(const Member& member) {
  std::istringstream lines(*fs::ReadFile("/proc/net/unix"));
  const std::string path = std::get<UnixAddress>(member.config.admin.address).path;
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.ends_with(path) ? 1 : 0;
  return count;
}

struct Shard {
  explicit Shard(Reactor& reactor) : members(reactor, 3), orchestration(members) {}

  Awaitable<bool> Start() {
    co_await members.BringUp();
    auto appointed = co_await orchestration.Appoint(true);
    if (!Ok(appointed)) co_return false;
    leader = &orchestration.LeaderOf(*appointed);
    follower = members.members[Others(members, *leader)[0]].get();
    EXPECT_TRUE(co_await Serves(members, *leader, RoutingRole::kPrimary));
    EXPECT_TRUE(co_await RewindReady(members, *leader));
    Ok(co_await Sql(*leader, "CREATE TABLE t(i int)"));
    Ok(co_await Sql(*follower, "SELECT 1"));
    co_return Streaming(*follower);
  }
  bool Streaming(const Member& member) const {
    return Members::StatusOf(member).status().replication_status().wal_receiver_status() == "streaming" ||
           &member == leader;
  }
  Clock& clock() { return members.reactor.clock(); }

  Members members;
  Orchestration orchestration;
  Member* leader = nullptr;
  Member* follower = nullptr;
};

// Quiet for a second, as the leader's own heartbeats count it.
Awaitable<void> AnIdleShardIsNoNews(Shard& shard) {
  for (auto& member : shard.members.members) {
    Member* which = member.get();
    EXPECT_TRUE(co_await shard.members.Until([&shard, which] { return shard.Streaming(*which); }));
  }
  Reports leader(shard.members.reactor, *shard.leader);
  Reports follower(shard.members.reactor, *shard.follower);
  EXPECT_TRUE(co_await shard.members.Until([&] { return leader.count > 2 && follower.count > 2; }));
  const auto leader_changes = leader.changes;
  const auto follower_changes = follower.changes;
  const auto first = ToNs(leader.last.status().last_heartbeat_write_time());
  EXPECT_GT(first, 0);
  EXPECT_TRUE(co_await shard.members.Until(
      [&] { return ToNs(leader.last.status().last_heartbeat_write_time()) > first + 1000000000; }));
  EXPECT_EQ(leader.changes, leader_changes);
  EXPECT_EQ(follower.changes, follower_changes);
  EXPECT_GT(ToNs(follower.last.status().last_answer_time()), first);
  EXPECT_FALSE(follower.last.status().has_last_heartbeat_write_time());
  // It reaches the follower's data as well.
  EXPECT_GT(ToNs(follower.last.status().replication_status().leader_heartbeat_advanced_at()), first);
}

Awaitable<void> ATerminatedSessionIsNoDeath(Shard& shard) {
  Reports reports(shard.members.reactor, *shard.leader);
  int sessions = 0;
  for (int i = 0; i < 10; ++i) {
    auto ended = co_await Sql(*shard.leader,
                              "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = "
                              "'multigres' AND pid <> pg_backend_pid()");
    if (Ok(ended)) sessions += std::stoi(*ended);
    // One at a time: two in a row, within one probe, are more than one session.
    const auto now = shard.clock().WallNow().time_since_epoch().count();
    EXPECT_TRUE(co_await shard.members.Until([&] { return ToNs(reports.last.status().last_answer_time()) > now; }));
  }
  EXPECT_GT(sessions, 5);
  EXPECT_FALSE(reports.ever_unready);
  EXPECT_EQ(shard.leader->manager->serving().state().role, RoutingRole::kPrimary);
}

Awaitable<void> AFrozenServerIsReportedOnTimeAndNothingPilesUp(Shard& shard, Member& member) {
  Reports reports(shard.members.reactor, member);
  EXPECT_TRUE(co_await shard.members.Until([&] { return reports.count > 0; }));
  const std::size_t connections = Connections(member);
  const TimePoint frozen_at = shard.clock().Now();
  Freeze freeze(member);
  reports.Check = [](const auto& status) { return !status.status().postgres_ready(); };
  EXPECT_TRUE(co_await shard.members.Until([&] { return reports.first_match.has_value(); }));
  if (!reports.first_match) co_return;
  std::printf("[ detected ] %s frozen: not ready after %.0f ms\n", member.config.id.name().c_str(),
              Ms(*reports.first_match - frozen_at));
  EXPECT_LT(*reports.first_match - frozen_at, member.config.unready_timeout + 500ms);
  EXPECT_TRUE(reports.last.status().postgres_running());
  const auto answered = ToNs(reports.last.status().last_answer_time());

  // Reports go on, nobody waits, and the server isn't besieged.
  const std::size_t count = reports.count;
  const TimePoint asked = shard.clock().Now();
  (void)co_await member.manager->FreshStatus();
  EXPECT_LT(shard.clock().Now() - asked, 1500ms);
  auto candidates = co_await shard.members.Candidates();
  auto revocation = multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), shard.clock().WallNow());
  const TimePoint recruited = shard.clock().Now();
  if (Ok(revocation)) {
    auto refused = co_await member.manager->agent().Recruit(*revocation, Deadline());
    EXPECT_TRUE(!refused && refused.error().code() == Code::kUnavailable)
        << (refused ? "accepted" : refused.error().ToString());
    EXPECT_LT(shard.clock().Now() - recruited, 1s);
  }
  EXPECT_TRUE(co_await shard.members.Until([&] { return shard.clock().Now() - frozen_at > 4s; }));
  EXPECT_GT(reports.count, count + 5);
  EXPECT_EQ(ToNs(reports.last.status().last_answer_time()), answered);
  EXPECT_LE(Connections(member), connections + 6);

  freeze.Thaw();
  const TimePoint thawed = shard.clock().Now();
  EXPECT_TRUE(co_await shard.members.Until([&] { return reports.last.status().postgres_ready(); }));
  EXPECT_LT(shard.clock().Now() - thawed, 1s);
  Member* which = &member;
  EXPECT_TRUE(
      co_await Serves(shard.members, member, which == shard.leader ? RoutingRole::kPrimary : RoutingRole::kReplica));
}

Awaitable<void> ADeadPostmasterIsReportedWithinMilliseconds(Shard& shard) {
  Member& leader = *shard.leader;
  leader.manager->SetPostgresRestartsEnabled(false);
  Reports reports(shard.members.reactor, leader);
  reports.Check = [](const auto& status) { return !status.status().postgres_running(); };
  EXPECT_TRUE(co_await shard.members.Until([&] { return reports.count > 1; }));
  const auto changes = reports.changes;
  auto status = co_await leader.controller->Status();
  const TimePoint killed = shard.clock().Now();
  EXPECT_EQ(::kill(status->pid, SIGKILL), 0);
  EXPECT_TRUE(co_await shard.members.Until([&] { return reports.first_match.has_value(); }));
  if (!reports.first_match) co_return;
  std::printf("[ detected ] dead postmaster: reported after %.1f ms\n", Ms(*reports.first_match - killed));
  EXPECT_LT(*reports.first_match - killed, 100ms);
  EXPECT_GT(reports.changes, changes);
  EXPECT_FALSE(reports.last.status().postgres_ready());
  EXPECT_TRUE(co_await shard.members.Until(
      [&] { return leader.manager->serving().state().status != ServingStatus::kServing; }));
  // It comes back as a standby, and asks for an election.
  leader.sql->DropIdle();
  leader.manager->SetPostgresRestartsEnabled(true);
  EXPECT_TRUE(co_await shard.members.Until([&] {
    return reports.last.availability_status().leadership_status().signal() == pb::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION;
  }));
}

TEST(Detection, TellsADeadServerFromAFrozenOneAndBothFromAQuietOne) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Shard shard(reactor);
    if (co_await shard.Start()) {
      co_await AnIdleShardIsNoNews(shard);
      co_await ATerminatedSessionIsNoDeath(shard);
      co_await AFrozenServerIsReportedOnTimeAndNothingPilesUp(shard, *shard.follower);
      co_await AFrozenServerIsReportedOnTimeAndNothingPilesUp(shard, *shard.leader);
      co_await ADeadPostmasterIsReportedWithinMilliseconds(shard);
    }
    co_await shard.members.TearDown();
  });
}

Awaitable<void> KillServer(Member& member) {
  member.manager->SetPostgresRestartsEnabled(false);
  member.sql->DropIdle();
  (void)co_await member.controller->Stop(pgctld::StopMode::kImmediate, 5s);
}

Awaitable<void> Advance(Member& leader, Result<pb::PoolerPosition>& outcome, Event& over) {
  ::multipoolermanagerdata::UpdateConsensusRuleRequest request;
  request.set_operation(::multipoolermanagerdata::RULE_OPERATION_ADVANCE);
  *request.mutable_coordinator_id() = Members::Coordinator();
  *request.mutable_expected_outgoing_rule() =
      Members::StatusOf(leader).consensus_status().current_position().position().decision().rule_number();
  outcome = co_await leader.manager->agent().UpdateConsensusRule(request, Deadline());
  over.Set();
}

// A host that boots: its pooler is there before its pgctld, and not everything works at once. Nobody waits for the
// monitor's next round.
TEST(Detection, AServerThatCouldNotBeStartedYetIsTriedAgainSoon) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 1);
    co_await members.BringUp();
    Member& member = *members.members[0];
    co_await members.StopManager(member);
    member.config.monitor_interval = 10min;
    member.process->unheard = 3;
    member.process->failing_starts = 2;
    const int starts = member.process->starts;
    if (Ok(co_await members.StartManager(member))) {
      EXPECT_TRUE(co_await members.Until([&] { return Members::StatusOf(member).status().postgres_ready(); }));
      EXPECT_EQ(member.process->starts, starts + 3);
    }
    co_await members.TearDown();
  });
}

// Both standbys are gone: nobody acknowledges the write, and it holds the action lock.
TEST(Detection, AHangingRuleWriteGivesWayToARecruitment) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Shard shard(reactor);
    if (co_await shard.Start()) {
      Member& leader = *shard.leader;
      auto candidates = co_await shard.members.Candidates();
      for (const std::size_t index : Others(shard.members, leader)) co_await KillServer(*shard.members.members[index]);
      TaskGroup tasks(reactor.executor());
      Result<pb::PoolerPosition> outcome = Fail(Code::kInternal, "not asked");
      Event over;
      tasks.Spawn("advance", Advance(leader, outcome, over));
      // It waits for its acknowledgement.
      const std::string waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
      bool hangs = false;
      for (int i = 0; i < 1000 && !hangs; ++i) {
        auto count = co_await Sql(leader, waiting);
        hangs = count && *count != "0";
      }
      EXPECT_TRUE(hangs);
      EXPECT_FALSE(over.IsSet());
      auto revocation =
          multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), shard.clock().WallNow());
      const TimePoint asked = shard.clock().Now();
      // One that isn't acceptable disturbs nothing.
      pb::TermRevocation stale = *revocation;
      stale.set_revoked_below_term(1);
      EXPECT_FALSE(co_await leader.manager->agent().Recruit(stale, reactor.clock().After(200ms)));
      EXPECT_FALSE(over.IsSet());
      leader.sql->DropIdle();
      auto recruited = co_await leader.manager->agent().Recruit(*revocation, Deadline());
      std::printf("[ recruited ] leader with a hanging rule write: after %.0f ms\n", Ms(shard.clock().Now() - asked));
      if (Ok(recruited)) {
        EXPECT_EQ(recruited->term_revocation().revoked_below_term(), revocation->revoked_below_term());
      }
      EXPECT_LT(shard.clock().Now() - asked, 15s);
      co_await tasks.Join();
      EXPECT_TRUE(!outcome && outcome.error().execution() == Execution::kMayHaveExecuted)
          << (outcome ? "written" : outcome.error().ToString());
      EXPECT_TRUE(Members::StatusOf(leader).status().has_replication_status());
    }
    co_await shard.members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
