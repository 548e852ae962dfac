// A pooler that lost its promises, and one whose server can't be brought up any more.
#include <csignal>

#include "common/topoclient/components.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;

Awaitable<pb::PoolerLifecycle> Lifecycle(Members& members, const Member& member) {
  auto record = co_await topo::GetComponent<pb::MultiPooler>(*members.store, {}, member.config.id);
  co_return record ? record->value.lifecycle_status() : pb::PoolerLifecycle();
}

TEST(Identity, APoolerWithoutItsPromisesStartsOnlyUnderANameThatNeverPromised) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 1);
    co_await members.BringUp();
    Member& member = *members.members[0];
    co_await members.StopManager(member);
    EXPECT_TRUE(fs::RemoveFile(member.config.pooler_dir + "/consensus_promises.json"));

    auto refused = co_await members.StartManager(member);
    EXPECT_TRUE(!refused && refused.error().code() == Code::kFailedPrecondition);
    member.config.fresh_identity = true;
    refused = co_await members.StartManager(member);
    EXPECT_TRUE(!refused && refused.error().code() == Code::kFailedPrecondition);
    if (!refused) EXPECT_NE(refused.error().message().find("zone1_a is registered"), std::string::npos);
    member.manager.reset();

    member.config.id.set_name("fresh");
    if (Ok(co_await members.StartManager(member))) {
      Member* which = &member;
      EXPECT_TRUE(co_await members.Until([which] { return Members::StatusOf(*which).status().is_initialized(); }));
      // Its data may hold what was acknowledged under the old name: it doesn't vote before it has caught up.
      EXPECT_TRUE(Members::StatusOf(member).consensus_status().has_recruit_blocked_until());
      auto candidates = co_await members.Candidates();
      EXPECT_FALSE(multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), reactor.clock().WallNow()));
      co_await members.StopManager(member);
      // From now on it has promises of its own, and needs no word of the operator's.
      member.config.fresh_identity = false;
      Ok(co_await members.StartManager(member));
    }
    co_await members.TearDown();
  });
}

std::string PromisesOf(const Member& member) {
  return member.config.pooler_dir + "/consensus_promises.json";
}

// An operator restores one volume to an earlier state, and not the other.
TEST(Identity, APoolersFolderAndItsDataThatDoNotBelongTogetherAreTold) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    Orchestration orchestration(members);
    co_await members.BringUp();
    auto first = co_await orchestration.Appoint(true);
    if (Ok(first)) {
      Member& leader = orchestration.LeaderOf(*first);
      Member& member = *members.members[Others(members, leader)[0]];
      const std::string mark_file = member.config.data_dir + "/multigres_member.json";
      const std::string old_promises = *fs::ReadFile(PromisesOf(member));
      const std::string old_mark = *fs::ReadFile(mark_file);
      Ok(co_await orchestration.Appoint(false, {0, 1, 2}, &leader));
      EXPECT_TRUE(co_await Serves(members, leader, RoutingRole::kPrimary));
      co_await members.StopManager(member);
      const std::string promises = *fs::ReadFile(PromisesOf(member));

      EXPECT_TRUE(fs::WriteFileAtomic(PromisesOf(member), old_promises));
      auto refused = co_await members.StartManager(member);
      EXPECT_TRUE(!refused && refused.error().code() == Code::kFailedPrecondition);
      member.manager.reset();
      EXPECT_TRUE(fs::WriteFileAtomic(PromisesOf(member), promises));

      EXPECT_TRUE(fs::WriteFileAtomic(mark_file, old_mark));
      if (Ok(co_await members.StartManager(member))) {
        EXPECT_TRUE(co_await members.Until([&] { return Members::StatusOf(member).status().postgres_ready(); }));
        EXPECT_TRUE(Members::StatusOf(member).consensus_status().has_recruit_blocked_until());
        co_await orchestration.Follow(member, Members::StatusOf(leader).consensus_status().replication_primary());
        EXPECT_TRUE(co_await members.Until(
            [&] { return !Members::StatusOf(member).consensus_status().has_recruit_blocked_until(); }));
      }
    }
    co_await members.TearDown();
  });
}

TEST(Quarantine, AServerThatCannotBeBroughtUpIsGivenUpUntilThePoolerIsReplaced) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 1);
    Member& member = *members.members[0];
    member.config.quarantine = {.timeout = 50ms, .min_attempts = 2};
    co_await members.BringUp();
    // The next start fails, and every one after it.
    EXPECT_TRUE(fs::WriteFileAtomic(members.folder.path() + "/test.conf", "fsync = off\nwork_mem = 'nonsense'\n"));
    auto process = co_await member.controller->Status();
    EXPECT_EQ(::kill(process->pid, SIGKILL), 0);
    Member* which = &member;
    EXPECT_TRUE(co_await members.Until([which] {
      return Members::StatusOf(*which).availability_status().cohort_eligibility_status().signal() ==
             pb::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE;
    }));
    pb::PoolerLifecycle lifecycle;
    for (int i = 0; i < 500 && lifecycle.status() != pb::LIFECYCLE_QUARANTINED; ++i) {
      lifecycle = co_await Lifecycle(members, member);
      co_await SleepFor(reactor.clock(), 10ms);
    }
    EXPECT_EQ(lifecycle.status(), pb::LIFECYCLE_QUARANTINED);
    EXPECT_NE(lifecycle.reason(), "");
    // What was wrong is mended, but only another process tries again.
    EXPECT_TRUE(fs::WriteFileAtomic(members.folder.path() + "/test.conf", "fsync = off\n"));
    const int starts = member.process->starts;
    const int looks = member.process->looks;
    // Its monitor goes on looking: it would have started the server at the first look.
    EXPECT_TRUE(co_await members.Until([&] { return member.process->looks > looks + 20; }));
    EXPECT_EQ(member.process->starts, starts);
    co_await members.StopManager(member);
    Ok(co_await members.StartManager(member));
    EXPECT_TRUE(co_await members.Until([which] { return Members::StatusOf(*which).status().postgres_ready(); }));
    co_await members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
