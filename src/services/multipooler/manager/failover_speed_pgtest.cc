// How long the steps of a failover take on three real servers that sync to disk, with a writer at work: printed, and
// held to the budgets of ha.md, section 9.
#include <csignal>

#include "common/consensus/lsn.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;

constexpr Duration kRecruitBudget = 1s;
constexpr Duration kPromoteBudget = 6s;
constexpr int kFailovers = 5;

class Stopwatch {
 public:
  explicit Stopwatch(Clock& clock) : clock_(clock), began_(clock.Now()) {}
  Duration Elapsed() const { return clock_.Now() - began_; }

 private:
  Clock& clock_;
  TimePoint began_;
};

void Print(const char* what, Duration took) {
  std::printf("[ took     ] %-46s %7.1f ms\n", what, std::chrono::duration<double, std::milli>(took).count());
}

// One row after the other, until its server goes.
Awaitable<void> Write(Member& leader, int& written) {
  while (true) {
    auto inserted = co_await Sql(leader, "INSERT INTO t VALUES (" + std::to_string(written) + ")");
    if (!inserted) co_return;
    ++written;
  }
}

Awaitable<void> Recruit(Member& member, pb::TermRevocation revocation, std::vector<Candidate>& recruits) {
  Clock& clock = member.sql->clock();
  const Stopwatch watch(clock);
  auto status = co_await member.manager->agent().Recruit(revocation, clock.After(kRecruitBudget));
  if (!Ok(status)) co_return;
  Print("Recruit of a standby", watch.Elapsed());
  Candidate candidate;
  candidate.status = std::move(*status);
  candidate.address = member.address();
  recruits.push_back(std::move(candidate));
}

Awaitable<void> Follow(Member& member, pb::ReplicationPrimary primary) {
  const Stopwatch watch(member.sql->clock());
  Ok(co_await member.manager->agent().SetPrimary(std::move(primary), Deadline()));
  Print("SetPrimary", watch.Elapsed());
}

Awaitable<void> FirstWrite(Members& members, Member& leader, int& written, const Stopwatch& failover) {
  EXPECT_TRUE(co_await Serves(members, leader, RoutingRole::kPrimary));
  Print("from the Recruits to PRIMARY", failover.Elapsed());
  if (Ok(co_await Sql(leader, "INSERT INTO t VALUES (" + std::to_string(written) + ")"))) ++written;
  Print("from the Recruits to the first write", failover.Elapsed());
}

// The leader's server is killed; the other two are recruited, the better one is promoted while the other follows.
Awaitable<Member*> FailOver(Members& members, Member& former, int& written) {
  std::vector<Member*> others;
  for (const std::size_t index : Others(members, former)) others.push_back(members.members[index].get());
  TaskGroup writer(members.reactor.executor());
  const int before = written;
  writer.Spawn("writer", Write(former, written));
  EXPECT_TRUE(co_await members.Until([&] { return written > before + 20; }));
  former.manager->SetPostgresRestartsEnabled(false);
  auto process = co_await former.controller->Status();
  auto candidates = co_await members.Candidates();
  const Stopwatch detection(members.reactor.clock());
  EXPECT_EQ(::kill(process->pid, SIGKILL), 0);
  EXPECT_TRUE(co_await members.Until([&] { return !Members::StatusOf(former).status().postgres_running(); }));
  Print("detection of the dead postmaster", detection.Elapsed());
  co_await writer.Join();

  const Stopwatch failover(members.reactor.clock());
  auto revocation =
      multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), members.reactor.clock().WallNow());
  if (!Ok(revocation)) co_return nullptr;
  std::vector<Candidate> recruits;
  TaskGroup tasks(members.reactor.executor());
  for (Member* other : others) tasks.Spawn("recruit", Recruit(*other, *revocation, recruits));
  co_await tasks.Join();
  Print("all Recruits", failover.Elapsed());
  auto proposal = multigres::consensus::BuildProposal(*revocation, recruits, members.reactor.clock().WallNow());
  if (!Ok(proposal)) co_return nullptr;
  Member* leader = others[0]->config.id.name() == proposal->proposal_leader().id().name() ? others[0] : others[1];
  pb::ReplicationPrimary primary;
  *primary.mutable_position() = proposal->proposed_transition();
  *primary.mutable_primary() = proposal->proposal_leader();
  for (Member* other : others) {
    if (other != leader) tasks.Spawn("follow", Follow(*other, primary));
  }
  ::consensusdata::PromoteRequest request;
  *request.mutable_proposal() = *proposal;
  request.set_reason("speed");
  const Stopwatch promotion(members.reactor.clock());
  Ok(co_await leader->manager->agent().Promote(std::move(request), Deadline()));
  Print("Promote", promotion.Elapsed());
  EXPECT_LT(promotion.Elapsed(), kPromoteBudget);
  co_await FirstWrite(members, *leader, written, failover);
  co_await tasks.Join();
  co_return leader;
}

// The killed server comes back under its successor.
Awaitable<void> Return(Members& members, Member& former, Member& leader) {
  EXPECT_TRUE(co_await RewindReady(members, leader));
  former.sql->DropIdle();
  former.manager->SetPostgresRestartsEnabled(true);
  EXPECT_TRUE(co_await members.Until([&] { return Members::StatusOf(former).status().postgres_ready(); }));
  (void)co_await former.manager->agent().SetPrimary(Members::StatusOf(leader).consensus_status().replication_primary(),
                                                    Deadline());
  EXPECT_TRUE(co_await Serves(members, former, RoutingRole::kReplica));
  EXPECT_TRUE(co_await members.Until(
      [&] { return Members::StatusOf(former).status().replication_status().wal_receiver_status() == "streaming"; }));
}

TEST(FailoverSpeed, EachStepKeepsItsBudgetAndNoRowIsLost) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    EXPECT_TRUE(fs::WriteFileAtomic(members.folder.path() + "/test.conf", "fsync = on\n"));
    for (auto& member : members.members) {
      member->config.refresh_interval = member->config.heartbeat_interval = 200ms;
    }
    Orchestration orchestration(members);
    co_await members.BringUp();
    auto appointed = co_await orchestration.Appoint(true);
    Member* leader = Ok(appointed) ? &orchestration.LeaderOf(*appointed) : nullptr;
    int written = 0;
    if (leader != nullptr) Ok(co_await Sql(*leader, "CREATE TABLE t(i int)"));
    for (int i = 0; i < kFailovers && leader != nullptr && !::testing::Test::HasFailure(); ++i) {
      std::printf("[ failover ] %d\n", i + 1);
      Member& former = *leader;
      leader = co_await FailOver(members, former, written);
      if (leader == nullptr) break;
      co_await Return(members, former, *leader);
      auto rows = co_await Sql(*leader, "SELECT count(DISTINCT i) FROM t WHERE i < " + std::to_string(written));
      if (Ok(rows)) EXPECT_EQ(*rows, std::to_string(written));
    }
    co_await members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
