#include "services/multiorch/recovery/follower_analysis.h"

#include <gtest/gtest.h>

#include <functional>

#include "services/multiorch/recovery/testing_shard.h"

namespace multigres::orch {
namespace {

using namespace testing_shard;
using consensus::testing::Decided;
using consensus::testing::kNow;
using consensus::testing::Promise;
using consensus::testing::Rule;
using consensus::testing::Undecided;

const Texts kNothing{};
const Texts kFix{"ReplicaNotReplicating->FixReplication(z2_b)"};

TEST(AnalyseFollowers, ReattachesThoseThatDoNotReplicate) {
  Check({
      {"no conninfo", [](Shard& s) { s.Replication("z2_b").clear_primary_conn_info(); }, kFix},
      {"receiver gone", [](Shard& s) { s.Detach("z2_b"); }, kFix},
      {"receiver gone this moment", [](Shard& s) { s.Detach("z2_b", 500ms); }, kNothing},
      {"receiver waiting", [](Shard& s) { s.Replication("z2_b").set_wal_receiver_status("waiting"); }, kNothing},
      {"receiver stopping",
       [](Shard& s) {
         s.Detach("z2_b");
         s.Replication("z2_b").set_wal_receiver_status("stopping");
       },
       kFix},
      {"replay paused", [](Shard& s) { s.Replication("z2_b").set_is_wal_replay_paused(true); }, kFix},
      {"follows another host",
       [](Shard& s) { s.Replication("z2_b").mutable_primary_conn_info()->set_host("z3_c.test"); }, kFix},
      {"follows another port", [](Shard& s) { s.Replication("z2_b").mutable_primary_conn_info()->set_port(5433); },
       kFix},
      {"streams under another member's name",
       [](Shard& s) { s.Replication("z2_b").mutable_primary_conn_info()->set_application_name("z3_c"); }, kFix},
      {"a rule of this moment: everybody is on the way",
       [](Shard& s) {
         s.Detach("z2_b");
         s.rule_known_for = 1s;
       },
       kNothing},
      {"its PostgreSQL is down: its pooler's business", [](Shard& s) { s.KillPostgres("z2_b"); }, kNothing},
      {"not heard",
       [](Shard& s) {
         s.Detach("z2_b");
         s.Lose("z2_b");
       },
       kNothing},
      {"the leader doesn't serve",
       [](Shard& s) {
         s.Detach("z2_b");
         s.KillPostgres("z1_a");
       },
       {"LeaderUnhealthy->AppointLeader"}},
  });
}

TEST(AnalyseFollowers, DemotesWhoeverBelievesToLead) {
  Check({
      {"a stale leader", [](Shard& s) { s.RunAsPrimary("z2_b"); }, {"StaleLeader->DemoteStaleLeader(z2_b)"}},
      {"nobody to follow yet",
       [](Shard& s) {
         s.RunAsPrimary("z2_b");
         s.KillPostgres("z1_a");
       },
       {"LeaderUnhealthy->AppointLeader", "StaleLeader(z2_b)"}},
  });
}

TEST(AnalyseFollowers, FreesThoseThatWereRecruitedAndForgotten) {
  const auto recruited = [](Shard& s, Duration ago, Duration skew = {}) {
    *s.Status("z2_b").mutable_consensus_status()->mutable_term_revocation() =
        Promise(2, 1, 0, "other", kNow - ago + skew);
    s.Pooler("z2_b").promise_since = kStart - ago;
    s.Detach("z2_b");
  };
  const Texts abandoned = {"ReplicaRecruitAbandoned->AdvanceRule(z2_b)"};
  Check({
      {"long ago", [&](Shard& s) { recruited(s, 2min); }, abandoned},
      {"a moment ago", [&](Shard& s) { recruited(s, 2s); }, kNothing},
      {"a moment ago, by a clock that is ahead", [&](Shard& s) { recruited(s, 2s, 1h); }, kNothing},
      {"a moment ago, by a clock that is behind", [&](Shard& s) { recruited(s, 2s, -1h); }, kNothing},
      {"long ago, by a clock that is ahead", [&](Shard& s) { recruited(s, 2min, 1h); }, abandoned},
  });
}

TEST(AnalyseFollowers, ReportsThoseThatLag) {
  Check({
      {"far behind in bytes",
       [](Shard& s) {
         s.Status("z1_a").mutable_status()->mutable_primary_status()->set_lsn("1/0");
         s.Replication("z2_b").set_last_replay_lsn("0/0");
       },
       {"ReplicaLagging(z2_b)"}},
      {"a little behind",
       [](Shard& s) {
         s.Status("z1_a").mutable_status()->mutable_primary_status()->set_lsn("0/2000000");
         s.Replication("z2_b").set_last_replay_lsn("0/1000000");
       },
       kNothing},
      {"streams, and nothing moves", [](Shard& s) { s.Still("z2_b", 11s); }, {"ReplicaLagging(z2_b)"}},
      {"nothing moves because the leader writes nothing",
       [](Shard& s) {
         s.Still("z2_b", 11s);
         s.Pooler("z1_a").write_stall.reset();
       },
       kNothing},
  });
}

TEST(AnalyseFollowers, TakesNewPoolersIntoTheCohortOnceTheyStream) {
  Check({
      {"streaming", [](Shard& s) { s.Add("z1_d"); }, {"PoolerNotInCohort->AddToCohort(z1_d)"}},
      {"not streaming yet",
       [](Shard& s) {
         s.Add("z1_d");
         s.Detach("z1_d");
       },
       {"ReplicaNotReplicating->FixReplication(z1_d)"}},
      {"behind its recruit floor",
       [](Shard& s) {
         s.Add("z1_d");
         auto& floor = *s.Status("z1_d").mutable_consensus_status()->mutable_recruit_blocked_until();
         *floor.mutable_position()->mutable_decision() = consensus::MakeRuleNumber(1, 0);
         floor.set_lsn("0/200");
       },
       kNothing},
      {"suspected to have diverged",
       [](Shard& s) {
         s.Add("z1_d");
         s.Status("z1_d").mutable_availability_status()->set_suspected_divergence(true);
       },
       kNothing},
      {"ineligible",
       [](Shard& s) {
         s.Add("z1_d");
         s.MakeIneligible("z1_d");
       },
       kNothing},
      {"a change is under way",
       [](Shard& s) {
         s.Add("z1_d");
         s.SetRules(Undecided(Rule(1, 0, "z1_a", kCohort), Rule(1, 1, "z1_a", {"z1_a", "z2_b"})));
         s.rule_known_for = 1s;
       },
       kNothing},
  });
}

const Members kFour = {"z1_a", "z2_b", "z3_c", "z1_d"};

void MakeFour(Shard& shard) {
  shard.Add("z1_d");
  shard.SetRules(Decided(Rule(1, 1, "z1_a", kFour)));
}

TEST(AnalyseFollowers, RemovesIneligibleMembersWhereTheRestCanLoseItsLeader) {
  Check({
      {"of four",
       [](Shard& s) {
         MakeFour(s);
         s.MakeIneligible("z3_c");
       },
       {"CohortMemberIneligible->RemoveFromCohort(z3_c)"}},
      {"of four, for a moment only: it may be restarting",
       [](Shard& s) {
         MakeFour(s);
         s.MakeIneligible("z3_c", 10s);
       },
       {"CohortMemberIneligible(z3_c)"}},
      {"of three, while it acknowledges", [](Shard& s) { s.MakeIneligible("z3_c"); }, {"CohortMemberIneligible(z3_c)"}},
      {"of three, when it doesn't stream: the leader's loss can't be survived with it either",
       [](Shard& s) {
         s.MakeIneligible("z3_c");
         s.Detach("z3_c");
       },
       {"CohortMemberIneligible->RemoveFromCohort(z3_c)"}},
      {"of three, its PostgreSQL beyond repair",
       [](Shard& s) {
         s.MakeIneligible("z3_c");
         s.KillPostgres("z3_c");
         s.Detach("z3_c");
       },
       {"CohortMemberIneligible->RemoveFromCohort(z3_c)"}},
      {"of three, and the other one doesn't stream either: nobody would be left to acknowledge",
       [](Shard& s) {
         s.MakeIneligible("z3_c");
         s.Detach("z3_c");
         s.Detach("z2_b", 500ms);
       },
       {"CohortMemberIneligible(z3_c)"}},
      {"of two",
       [](Shard& s) {
         s.Remove("z3_c");
         s.SetRules(Decided(Rule(1, 1, "z1_a", {"z1_a", "z2_b"})));
         s.MakeIneligible("z2_b");
         s.Detach("z2_b");
       },
       {"CohortMemberIneligible(z2_b)"}},
  });
}

TEST(AnalyseFollowers, RemovesMembersThatWereShutDownOrAreGone) {
  Check({
      {"shut down long ago", [](Shard& s) { s.ShutDown("z3_c"); }, {"CohortMemberIneligible->RemoveFromCohort(z3_c)"}},
      {"shut down a moment ago: a rolling restart", [](Shard& s) { s.ShutDown("z3_c", 10s); }, kNothing},
      {"untracked, and the rest couldn't lose its leader",
       [](Shard& s) { s.Remove("z3_c"); },
       {"CohortMemberIneligible(z3_c)"}},
      {"untracked, of four",
       [](Shard& s) {
         MakeFour(s);
         s.Remove("z3_c");
       },
       {"CohortMemberIneligible->RemoveFromCohort(z3_c)"}},
      {"too many: writes could never be acknowledged without them",
       [](Shard& s) {
         s.Remove("z3_c");
         s.SetRules(Decided(Rule(1, 1, "z1_a", {"z1_a", "z2_b"})));
         s.ShutDown("z2_b");
       },
       {"CohortMemberIneligible(z2_b)"}},
  });
}

}  // namespace
}  // namespace multigres::orch
