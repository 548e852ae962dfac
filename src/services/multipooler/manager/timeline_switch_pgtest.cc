// A follower that ended while it was changing to its new leader's timeline.
#include <csignal>
#include <filesystem>
#include <fstream>

#include "common/consensus/lsn.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;

constexpr std::uint64_t kSegment = 1 << 20;  // as Members initialises
constexpr std::uint64_t kPage = 8192;

std::uint64_t BranchOf(const std::string& history) {
  std::ifstream file(history);
  std::string line;
  std::uint64_t branch = 0;
  while (std::getline(file, line)) {
    const auto tab = line.find('\t');
    if (tab == std::string::npos) continue;
    branch = multigres::consensus::LsnOrLowest(line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1)).value_or(0);
  }
  return branch;
}

// As if its receiver had not come to the branch point of `timeline` yet: the segment breaks off on the page before.
void BreakOff(const std::string& data_dir, std::uint32_t timeline) {
  const std::string wal = data_dir + "/pg_wal/";
  const std::uint64_t branch = BranchOf(fmt::format("{}{:08X}.history", wal, timeline));
  ASSERT_NE(branch, 0U);
  const std::string segment = fmt::format("{:08X}{:08X}{:08X}", timeline, 0, branch / kSegment);
  ASSERT_TRUE(fs::Exists(wal + segment)) << segment;
  for (const auto& entry : std::filesystem::directory_iterator(wal)) {
    const std::string name = entry.path().filename();
    const bool later = name.size() == segment.size() && name.substr(0, 8) == segment.substr(0, 8) && name > segment;
    if (later) std::filesystem::remove(entry.path());
  }
  const std::uint64_t begin = branch % kSegment / kPage * kPage;
  std::fstream file(wal + segment, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(begin));
  file << std::string(kSegment - begin, '\0');
  ASSERT_TRUE(file.good());
}

bool Streams(const Member& member) {
  return Members::StatusOf(member).status().replication_status().wal_receiver_status() == "streaming";
}

TEST(TimelineSwitch, AFollowerThatWasKilledInTheMiddleOfItComesBackByItself) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    Orchestration orchestration(members);
    co_await members.BringUp();
    auto first = co_await orchestration.Appoint(true);
    if (Ok(first)) {
      Member& former = orchestration.LeaderOf(*first);
      const auto others = Others(members, former);
      Member& leader = *members.members[others[0]];
      Member& follower = *members.members[others[1]];
      // The branch point is to lie segments beyond the follower's last checkpoint: what a start reads first is whole.
      Ok(co_await Sql(former, "CREATE TABLE t(i int, filler text)"));
      Ok(co_await Sql(former, "INSERT INTO t SELECT 0, repeat('x', 1000) FROM generate_series(1, 3000)"));
      auto second = co_await orchestration.Appoint(false, {0, 1, 2}, &leader);
      Ok(second);
      Ok(co_await Sql(leader, "INSERT INTO t VALUES (1)"));
      EXPECT_TRUE(co_await members.Until([&] { return Streams(follower); }));
      follower.manager->SetPostgresRestartsEnabled(false);
      auto process = co_await follower.controller->Status();
      EXPECT_EQ(::kill(process->pid, SIGKILL), 0);
      EXPECT_TRUE(co_await members.Until([&] { return !Members::StatusOf(follower).status().postgres_running(); }));
      follower.sql->DropIdle();
      if (second) {
        const auto term = second->proposed_transition().proposal().rule_number().coordinator_term();
        BreakOff(follower.config.data_dir, static_cast<std::uint32_t>(term + 1));
      }
      follower.manager->SetPostgresRestartsEnabled(true);
      EXPECT_TRUE(co_await members.Until([&] { return Streams(follower); }));
      Ok(co_await Sql(leader, "INSERT INTO t VALUES (2)"));
      auto lsn = co_await Sql(leader, "SELECT pg_current_wal_flush_lsn()");
      if (Ok(lsn)) Ok(co_await follower.manager->WaitForLsn(*lsn, 10s, Deadline()));
      auto rows = co_await Sql(follower, "SELECT string_agg(i::text, ',' ORDER BY i) FROM t WHERE i > 0");
      if (Ok(rows)) EXPECT_EQ(*rows, "1,2");
    }
    co_await members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
