#include "services/multipooler/manager/manager.h"

#include <csignal>

#include "common/consensus/lsn.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "services/multipooler/manager/orchestration_pgtest.h"

namespace multigres::pooler::manager {
namespace {

using namespace testing;
using multigres::consensus::RulePositionText;

[[maybe_unused]] const auto* const kUnprivileged = ::testing::AddGlobalTestEnvironment(new Unprivileged);

// The row went through the leader; in the end everybody has it.
Awaitable<void> ExpectRowsEverywhere(Members& members, Member& leader, std::string rows) {
  const std::string query = "SELECT string_agg(i::text, ',' ORDER BY i) FROM t";
  auto lsn = co_await Sql(leader, "SELECT pg_current_wal_flush_lsn()");
  if (!Ok(lsn)) co_return;
  for (auto& member : members.members) {
    if (member.get() != &leader) Ok(co_await member->manager->WaitForLsn(*lsn, 10s, Deadline()));
    auto found = co_await Sql(*member, query);
    if (Ok(found)) EXPECT_EQ(*found, rows) << member->config.id.name();
  }
}

// --- the life of a shard, one step after another

Awaitable<void> OneMemberInitialisesAndTheOthersCopy(Members& members) {
  co_await members.BringUp();
  int inits = 0;
  int starts_as_primary = 0;
  std::set<std::string> identifiers;
  for (const auto& member : members.members) {
    inits += member->process->inits;
    starts_as_primary += member->process->starts_as_primary;
    identifiers.insert(Members::StatusOf(*member).status().system_identifier());
    EXPECT_NE(member->manager->serving().state().role, RoutingRole::kPrimary);
    auto recovering = co_await Sql(*member, "SELECT pg_is_in_recovery()");
    if (Ok(recovering)) EXPECT_EQ(*recovering, "t");
  }
  EXPECT_EQ(inits, 1);
  EXPECT_EQ(starts_as_primary, 1);
  EXPECT_EQ(identifiers.size(), 1U);
}

Awaitable<void> APromiseKeepsLowerTermsAndRivalsOut(Members& members) {
  auto candidates = co_await members.Candidates();
  auto revocation =
      multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), members.reactor.clock().WallNow());
  if (!Ok(revocation)) co_return;
  consensus::Agent& agent = members.members[0]->manager->agent();
  pb::TermRevocation high = *revocation;
  high.set_revoked_below_term(5);
  Ok(co_await agent.Recruit(high, Deadline()));
  Ok(co_await agent.Recruit(high, Deadline()));  // again, the same
  EXPECT_FALSE(co_await agent.Recruit(*revocation, Deadline()));
  pb::TermRevocation rival = high;
  rival.mutable_accepted_coordinator_id()->set_name("rival");
  EXPECT_FALSE(co_await agent.Recruit(rival, Deadline()));

  ::consensusdata::PromoteRequest promote;
  *promote.mutable_proposal()->mutable_term_revocation() = *revocation;
  *promote.mutable_proposal()->mutable_proposal_leader() = members.members[1]->address();
  auto& rule = *promote.mutable_proposal()->mutable_proposed_transition()->mutable_proposal();
  *rule.mutable_rule_number() = multigres::consensus::MakeRuleNumber(revocation->revoked_below_term(), 0);
  *rule.mutable_leader_id() = members.members[1]->config.id;
  auto unpromised = co_await members.members[1]->manager->agent().Promote(promote, Deadline());
  EXPECT_FALSE(unpromised);
  if (!unpromised) EXPECT_TRUE(unpromised.error().message().starts_with("must Recruit before Promote"));
}

Awaitable<void> TheFirstLeaderWrites(Members& members, Orchestration& orchestration) {
  auto appointed = co_await orchestration.Appoint(true);
  if (!Ok(appointed)) co_return;
  Member& leader = orchestration.LeaderOf(*appointed);
  EXPECT_TRUE(co_await Serves(members, leader, RoutingRole::kPrimary));
  Ok(co_await Sql(leader, "CREATE TABLE t(i int); INSERT INTO t VALUES (1)"));
  auto names = co_await Sql(leader, "SHOW synchronous_standby_names");
  if (Ok(names)) EXPECT_EQ(*names, R"(ANY 1 ("zone1_a", "zone2_b", "zone3_c"))");
  auto history =
      co_await Sql(leader,
                   "SELECT string_agg(coordinator_term || '.' || leader_subterm || ' ' || event_type || ' ' || "
                   "decided, ', ' ORDER BY 1) FROM multigres.rule_history");
  // Term 5 was promised before.
  if (Ok(history)) EXPECT_EQ(*history, "0.1 replication_config true, 6.0 promotion true");
  auto timeline = co_await Sql(leader, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)");
  if (Ok(timeline)) EXPECT_EQ(*timeline, "00000007");
  EXPECT_TRUE(co_await RewindReady(members, leader));
  for (const std::size_t index : Others(members, leader)) {
    EXPECT_TRUE(co_await Serves(members, *members.members[index], RoutingRole::kReplica));
  }
  co_await ExpectRowsEverywhere(members, leader, "1");
}

Awaitable<void> TheCohortChangesByCompareAndSwap(Members& members) {
  Member& leader = *Leader(members);
  consensus::Agent& agent = leader.manager->agent();
  Member& other = *members.members[Others(members, leader)[0]];
  ::multipoolermanagerdata::UpdateConsensusRuleRequest request;
  request.set_operation(::multipoolermanagerdata::RULE_OPERATION_COHORT_REMOVE);
  *request.add_standby_ids() = other.config.id;
  *request.mutable_coordinator_id() = Members::Coordinator();
  *request.mutable_expected_outgoing_rule() = multigres::consensus::MakeRuleNumber(6, 5);
  EXPECT_FALSE(co_await agent.UpdateConsensusRule(request, Deadline()));
  *request.mutable_expected_outgoing_rule() = multigres::consensus::MakeRuleNumber(6, 0);
  auto removed = co_await agent.UpdateConsensusRule(request, Deadline());
  if (Ok(removed)) {
    EXPECT_EQ(RulePositionText(removed->position()), "6.1");
    EXPECT_EQ(removed->position().decision().cohort_members_size(), 2);
  }
  EXPECT_EQ(leader.manager->serving().state().role, RoutingRole::kPrimary);
  request.set_operation(::multipoolermanagerdata::RULE_OPERATION_COHORT_ADD);
  *request.mutable_expected_outgoing_rule() = multigres::consensus::MakeRuleNumber(6, 1);
  auto added = co_await agent.UpdateConsensusRule(request, Deadline());
  if (Ok(added)) EXPECT_EQ(added->position().decision().cohort_members_size(), 3);
  request.set_operation(::multipoolermanagerdata::RULE_OPERATION_COHORT_REMOVE);
  *request.mutable_standby_ids(0) = leader.config.id;
  *request.mutable_expected_outgoing_rule() = multigres::consensus::MakeRuleNumber(6, 2);
  EXPECT_FALSE(co_await agent.UpdateConsensusRule(request, Deadline()));
}

Awaitable<void> ARecruitedLeaderIsDemotedAndMayLeadAgain(Members& members, Orchestration& orchestration) {
  Member& leader = *Leader(members);
  leader.sql->DropIdle();
  auto appointed = co_await orchestration.Appoint(false);
  if (!Ok(appointed)) co_return;
  Member& next = orchestration.LeaderOf(*appointed);
  EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
  EXPECT_TRUE(co_await RewindReady(members, next));
  if (&next != &leader) {
    co_await orchestration.Follow(leader, Members::StatusOf(next).consensus_status().replication_primary());
  }
  for (const std::size_t index : Others(members, next)) {
    EXPECT_TRUE(co_await Serves(members, *members.members[index], RoutingRole::kReplica));
  }
  Ok(co_await Sql(next, "INSERT INTO t VALUES (2)"));
  co_await ExpectRowsEverywhere(members, next, "1,2");
}

// A leader that isn't recruited goes on by itself, writes where nobody acknowledges, and crashes.
Awaitable<void> ALeaderLeftBehindRejoinsWithoutItsExtraRow(Members& members, Orchestration& orchestration) {
  Member& leader = *Leader(members);
  leader.manager->SetPostgresRestartsEnabled(false);
  auto appointed = co_await orchestration.Appoint(false, Others(members, leader));
  if (!Ok(appointed)) co_return;
  Member& next = orchestration.LeaderOf(*appointed);
  EXPECT_NE(&next, &leader);
  EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
  EXPECT_NE(leader.manager->serving().state().role, RoutingRole::kPrimary);
  Ok(co_await Sql(leader, "SET synchronous_commit = local; INSERT INTO t VALUES (666)"));
  auto status = co_await leader.controller->Status();
  Member* former = &leader;
  const int starts = former->process->starts;
  EXPECT_EQ(::kill(status->pid, SIGKILL), 0);
  leader.manager->SetPostgresRestartsEnabled(true);
  leader.sql->DropIdle();
  EXPECT_TRUE(co_await RewindReady(members, next));
  // Ready again, not still: the last look before the kill may be what is known.
  EXPECT_TRUE(co_await members.Until([former, starts] {
    return former->process->starts > starts && Members::StatusOf(*former).status().postgres_ready();
  }));
  co_await orchestration.Follow(leader, Members::StatusOf(next).consensus_status().replication_primary());
  EXPECT_TRUE(co_await Serves(members, leader, RoutingRole::kReplica));
  EXPECT_EQ(leader.process->rewinds, 1);
  EXPECT_FALSE(Members::StatusOf(leader).availability_status().suspected_divergence());
  Ok(co_await Sql(next, "INSERT INTO t VALUES (3)"));
  co_await ExpectRowsEverywhere(members, next, "1,2,3");
}

Awaitable<void> ALeaderThatResignsGoesOnAsReplicaUnderItsSuccessor(Members& members, Orchestration& orchestration) {
  Member& leader = *Leader(members);
  leader.sql->DropIdle();
  auto lsn = co_await leader.manager->agent().ResignLeadership(Deadline());
  if (!Ok(lsn)) co_return;
  EXPECT_FALSE(lsn->empty());
  EXPECT_EQ(Leader(members), nullptr);
  EXPECT_EQ(Members::StatusOf(leader).availability_status().leadership_status().signal(),
            pb::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
  auto appointed = co_await orchestration.Appoint(false);
  if (!Ok(appointed)) co_return;
  Member& next = orchestration.LeaderOf(*appointed);
  EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
  EXPECT_TRUE(co_await RewindReady(members, next));
  for (const std::size_t index : Others(members, next)) {
    co_await orchestration.Follow(*members.members[index],
                                  Members::StatusOf(next).consensus_status().replication_primary());
    EXPECT_TRUE(co_await Serves(members, *members.members[index], RoutingRole::kReplica));
  }
  Ok(co_await Sql(next, "INSERT INTO t VALUES (4)"));
  co_await ExpectRowsEverywhere(members, next, "1,2,3,4");
}

Awaitable<void> ARestartedClusterComesBackInRecoveryAndIsLedAnew(Members& members, Orchestration& orchestration) {
  Member* former = Leader(members);
  for (auto& member : members.members) {
    member->sql->DropIdle();
    co_await members.StopManager(*member);
  }
  for (auto& member : members.members) Ok(co_await members.StartManager(*member));
  EXPECT_TRUE(co_await members.AllInitialized());
  for (auto& member : members.members) {
    auto recovering = co_await Sql(*member, "SELECT pg_is_in_recovery()");
    if (Ok(recovering)) EXPECT_EQ(*recovering, "t");
    EXPECT_NE(member->manager->serving().state().role, RoutingRole::kPrimary);
  }
  // The former leader knows that it isn't one, and asks for an election.
  EXPECT_TRUE(co_await members.Until([former] {
    return Members::StatusOf(*former).availability_status().leadership_status().signal() ==
           pb::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION;
  }));
  auto appointed = co_await orchestration.Appoint(false);
  if (!Ok(appointed)) co_return;
  Member& next = orchestration.LeaderOf(*appointed);
  EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
  Ok(co_await Sql(next, "INSERT INTO t VALUES (5)"));
  auto rows = co_await Sql(next, "SELECT string_agg(i::text, ',' ORDER BY i) FROM t");
  if (Ok(rows)) EXPECT_EQ(*rows, "1,2,3,4,5");
}

// A member that lost everything copies anew, and may not vote before it has caught up with its leader.
Awaitable<void> AMemberThatLostItsDataCopiesAnewAndNeverInitialises(Members& members) {
  Member& leader = *Leader(members);
  Member& lost = *members.members[Others(members, leader)[0]];
  const int inits = lost.process->inits;
  lost.sql->DropIdle();
  co_await members.StopManager(lost);
  EXPECT_TRUE(fs::RemoveTree(lost.config.data_dir));
  Ok(co_await members.StartManager(lost));
  Member* which = &lost;
  EXPECT_TRUE(co_await members.Until([which] { return Members::StatusOf(*which).status().is_initialized(); }));
  EXPECT_EQ(lost.process->inits, inits);
  EXPECT_TRUE(Members::StatusOf(lost).consensus_status().has_recruit_blocked_until());
  auto followed = co_await lost.manager->agent().SetPrimary(
      Members::StatusOf(leader).consensus_status().replication_primary(), Deadline());
  Ok(followed);
  EXPECT_TRUE(co_await members.Until(
      [which] { return !Members::StatusOf(*which).consensus_status().has_recruit_blocked_until(); }));
  co_await ExpectRowsEverywhere(members, leader, "1,2,3,4,5");
}

// Two members: after a restart the one that resigned is the only one who can acknowledge the other's rule, and it must
// be checked for divergence first.
TEST(PoolerManager, TheOnlyFollowerIsTheFormerLeaderAndAcknowledgesItsSuccessorsRule) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 2);
    Orchestration orchestration(members);
    co_await OneMemberInitialisesAndTheOthersCopy(members);
    auto first = co_await orchestration.Appoint(true, {0, 1});
    if (Ok(first)) {
      Member& former = orchestration.LeaderOf(*first);
      Ok(co_await Sql(former, "CREATE TABLE t(i int); INSERT INTO t VALUES (1)"));
      former.sql->DropIdle();
      Ok(co_await former.manager->agent().ResignLeadership(Deadline()));
      Member& other = *members.members[former.index == 0 ? 1 : 0];
      auto second = co_await orchestration.Appoint(false, {0, 1}, &other);
      if (Ok(second)) {
        Member& next = orchestration.LeaderOf(*second);
        EXPECT_NE(&next, &former);
        EXPECT_TRUE(co_await Serves(members, next, RoutingRole::kPrimary));
        EXPECT_TRUE(co_await Serves(members, former, RoutingRole::kReplica));
        Ok(co_await Sql(next, "INSERT INTO t VALUES (2)"));
        co_await ExpectRowsEverywhere(members, next, "1,2");
      }
    }
    co_await members.TearDown();
  });
}

TEST(PoolerManager, LeadsAShardFromItsBootstrapThroughEveryKindOfHandOver) {
  RunTest([](Reactor& reactor) -> Awaitable<void> {
    Members members(reactor, 3);
    Orchestration orchestration(members);
    using Step = std::pair<const char*, std::function<Awaitable<void>()>>;
    const std::vector<Step> steps = {
        {"bootstrap", [&] { return OneMemberInitialisesAndTheOthersCopy(members); }},
        {"promises", [&] { return APromiseKeepsLowerTermsAndRivalsOut(members); }},
        {"first leader", [&] { return TheFirstLeaderWrites(members, orchestration); }},
        {"cohort", [&] { return TheCohortChangesByCompareAndSwap(members); }},
        {"demotion", [&] { return ARecruitedLeaderIsDemotedAndMayLeadAgain(members, orchestration); }},
        {"left behind", [&] { return ALeaderLeftBehindRejoinsWithoutItsExtraRow(members, orchestration); }},
        {"resignation", [&] { return ALeaderThatResignsGoesOnAsReplicaUnderItsSuccessor(members, orchestration); }},
        {"restart", [&] { return ARestartedClusterComesBackInRecoveryAndIsLedAnew(members, orchestration); }},
        {"lost data", [&] { return AMemberThatLostItsDataCopiesAnewAndNeverInitialises(members); }},
    };
    for (const auto& [name, step] : steps) {
      SCOPED_TRACE(name);
      co_await step();
      if (::testing::Test::HasFailure()) break;  // what follows builds on it
    }
    co_await members.TearDown();
  });
}

}  // namespace
}  // namespace multigres::pooler::manager
