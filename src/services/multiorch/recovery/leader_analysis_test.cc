#include <gtest/gtest.h>

#include <functional>

#include "services/multiorch/recovery/testing_shard.h"

namespace multigres::orch {
namespace {

using namespace testing_shard;
using consensus::testing::Decided;
using consensus::testing::Rule;
using consensus::testing::Undecided;

const Texts kUnhealthy{"LeaderUnhealthy->AppointLeader"};
const Texts kUnreachable{"LeaderUnreachableByCohort->AppointLeader"};
const Texts kResigned{"LeaderResigned->AppointLeader"};
const Texts kUnknown{"LeaderHealthUnknown"};
const Texts kNothing{};

TEST(AnalyseLeader, BelievesALeaderThatSaysItDoesNotLead) {
  Check({
      {"it asks for its demotion, in recovery already",
       [](Shard& s) {
         s.AskForDemotion("z1_a", 1);
         s.Recover("z1_a");
       },
       kResigned},
      {"it asked in an older term", [](Shard& s) { s.AskForDemotion("z1_a", 0); }, kNothing},
      {"it steps down, its last WAL is on the way", [](Shard& s) { s.AskForDemotion("z1_a", 1); }, kNothing},
      {"it steps down, its server has stopped",
       [](Shard& s) {
         s.AskForDemotion("z1_a", 1);
         s.KillPostgres("z1_a");
       },
       kResigned},
      {"it has been stepping down for too long", [](Shard& s) { s.AskForDemotion("z1_a", 1, 11s); }, kResigned},
      {"it stepped down and fell silent",
       [](Shard& s) {
         s.AskForDemotion("z1_a", 1);
         s.Silence("z1_a");
       },
       kResigned},
      {"it is shutting down, its last WAL is on the way", [](Shard& s) { s.MakeIneligible("z1_a", 1s); }, kNothing},
      {"it is shutting down, its PostgreSQL has ended",
       [](Shard& s) {
         s.MakeIneligible("z1_a", 1s);
         s.KillPostgres("z1_a");
       },
       kResigned},
      {"it is ineligible and goes on", [](Shard& s) { s.MakeIneligible("z1_a", 11s); }, kResigned},
      {"it was shut down", [](Shard& s) { s.ShutDown("z1_a", 0s); }, kResigned},
      {"its PostgreSQL is not running", [](Shard& s) { s.KillPostgres("z1_a"); }, kUnhealthy},
      {"its PostgreSQL came up as a standby", [](Shard& s) { s.Recover("z1_a"); }, kUnhealthy},
      {"the rule names nobody",
       [](Shard& s) { s.SetRules(Decided(Rule(1, 0, "", kCohort))); },
       {"LeaderUnspecified->AppointLeader", "StaleLeader(z1_a)"}},
  });
}

TEST(AnalyseLeader, GivesAPoolerThatHasJustStartedTimeToLook) {
  const auto restarted = [](Shard& s) {
    s.KillPostgres("z1_a");
    s.Status("z1_a").mutable_status()->clear_last_answer_time();
    s.Pooler("z1_a").answer_stall.reset();
    s.Pooler("z1_a").last_ready = kStart - 2s;
  };
  Check({
      {"it has never asked its PostgreSQL", restarted, kNothing},
      {"it still hasn't found it",
       [&](Shard& s) {
         restarted(s);
         s.Pooler("z1_a").last_ready = kStart - 4s;
       },
       kUnhealthy},
  });
}

TEST(AnalyseLeader, ReplacesAFrozenOneOnceNobodySeesItMove) {
  const auto still = [](Shard& s, Duration duration) {
    for (const char* member : {"z2_b", "z3_c"}) s.Still(member, duration);
  };
  Check({
      {"frozen, followers see nothing",
       [&](Shard& s) {
         s.Freeze("z1_a", 1300ms);
         still(s, 1300ms);
       },
       kUnhealthy},
      {"not for long enough",
       [&](Shard& s) {
         s.Freeze("z1_a", 1100ms);
         still(s, 1100ms);
       },
       kNothing},
      {"its WAL still moves: overloaded, not frozen",
       [&](Shard& s) {
         s.Freeze("z1_a", 5s);
         s.Still("z3_c", 5s);
       },
       kNothing},
      {"its WAL still moves, but it hasn't answered for very long",
       [&](Shard& s) {
         s.Freeze("z1_a", 31s);
         s.Pooler("z1_a").last_ready = kStart - 31s;
       },
       kUnhealthy},
      {"frozen, and one follower is away",
       [&](Shard& s) {
         s.Freeze("z1_a", 1300ms);
         s.Still("z2_b", 1300ms);
         s.Detach("z3_c");
       },
       kUnhealthy},
      {"the disk is frozen: it answers, but nothing is written",
       [&](Shard& s) {
         s.Pooler("z1_a").write_stall = 1300ms;
         still(s, 1300ms);
       },
       kUnhealthy},
      {"the disk of a leader of this moment may be busy with its checkpoint",
       [&](Shard& s) {
         s.Pooler("z1_a").write_stall = 1300ms;
         still(s, 1300ms);
         s.rule_known_for = 5s;
       },
       kNothing},
      {"its writes wait, and no standby streams: another leader's would too",
       [&](Shard& s) {
         s.Pooler("z1_a").write_stall = 3s;
         s.Detach("z2_b", 500ms);
         s.Detach("z3_c", 500ms);
       },
       kNothing},
      {"the followers are frozen, not the leader",
       [&](Shard& s) {
         still(s, 3s);
         s.Freeze("z2_b", 900ms);
         s.Freeze("z3_c", 900ms);
       },
       kNothing},
      {"it runs as primary, but admits no writes",
       [](Shard& s) {
         s.Status("z1_a").mutable_status()->set_pooler_type(::clustermetadata::REPLICA);
         s.Pooler("z1_a").last_not_withheld = kStart - 11s;
       },
       kUnhealthy},
  });
}

TEST(AnalyseLeader, ReplacesOneThatNoLongerCommits) {
  Check({
      {"its WAL moves, its own commits don't return",
       [](Shard& s) { s.Pooler("z1_a").write_stall = 6s; },
       {"LeaderStuck->AppointLeader"}},
      {"not for long enough", [](Shard& s) { s.Pooler("z1_a").write_stall = 4s; }, kNothing},
      {"it commits for itself, and nothing of it arrives",
       [](Shard& s) {
         s.Still("z2_b", 6s);
         s.Still("z3_c", 6s);
       },
       {"LeaderStuck->AppointLeader"}},
      {"nothing arrives, and whether it writes isn't known",
       [](Shard& s) {
         s.Pooler("z1_a").write_stall.reset();
         s.Still("z2_b", 6s);
         s.Still("z3_c", 6s);
       },
       kNothing},
      {"one follower is enough to commit with", [](Shard& s) { s.Still("z3_c", 6s); }, kNothing},
      {"nobody streams: no leader could commit",
       [](Shard& s) {
         s.Detach("z2_b", 900ms);
         s.Detach("z3_c", 900ms);
       },
       kNothing},
      {"the shard was stuck under another leader a moment ago",
       [](Shard& s) {
         s.Pooler("z1_a").write_stall = 6s;
         s.rule_known_for = 20s;
       },
       kNothing},
  });
}

// Advancing the rule would free them, but that, too, waits for an acknowledgement, and an open one can't be advanced.
TEST(AnalyseLeader, ReplacesOneWhoseWritesWaitForMembersPromisedElsewhere) {
  const auto promise = [](Shard& s, std::vector<const char*> promised, Duration ago = 2min) {
    for (const char* member : promised) {
      *s.Status(member).mutable_consensus_status()->mutable_term_revocation() =
          consensus::testing::Promise(2, 1, 0, "other", consensus::testing::kNow - ago);
      s.Pooler(member).promise_since = kStart - ago;
      s.Detach(member, ago);
    }
  };
  const auto open = [](Shard& s) { s.SetRules(Undecided(Rule(1, 0, "z1_a", kCohort), Rule(1, 1, "z1_a", kCohort))); };
  const Texts stuck{"LeaderStuck->AppointLeader", "ReplicaRecruitAbandoned->AdvanceRule(z2_b)"};
  Check({
      {"both followers",
       [&](Shard& s) { promise(s, {"z2_b", "z3_c"}); },
       {"LeaderStuck->AppointLeader", "ReplicaRecruitAbandoned->AdvanceRule(z2_b)",
        "ReplicaRecruitAbandoned->AdvanceRule(z3_c)"}},
      {"the rule is open",
       [&](Shard& s) {
         open(s);
         promise(s, {"z2_b", "z3_c"});
       },
       {"LeaderStuck->AppointLeader"}},
      {"the other acknowledges",
       [&](Shard& s) {
         open(s);
         promise(s, {"z2_b"});
         s.rule_known_for = 1min;
       },
       kNothing},
      {"only whom the open rule adds could acknowledge",
       [&](Shard& s) {
         s.Add("z4_d");
         s.SetRules(Undecided(Rule(1, 0, "z1_a", kCohort), Rule(1, 1, "z1_a", {"z1_a", "z2_b", "z3_c", "z4_d"})));
         promise(s, {"z2_b", "z3_c"});
       },
       {"LeaderStuck->AppointLeader"}},
      {"the follower that the open rule adds shows its decision, which the leader waits for",
       [&](Shard& s) {
         s.SetRules(Decided(Rule(1, 1, "z1_a", kCohort)));
         *s.Status("z1_a").mutable_consensus_status()->mutable_current_position()->mutable_position() =
             Undecided(Rule(1, 0, "z1_a", {"z1_a", "z2_b"}), Rule(1, 1, "z1_a", kCohort));
         promise(s, {"z2_b"});
         s.Status("z2_b")
             .mutable_consensus_status()
             ->mutable_term_revocation()
             ->mutable_outgoing_rule()
             ->set_leader_subterm(1);
         s.rule_known_for = 1min;
       },
       stuck},
      {"the other is lost",
       [&](Shard& s) {
         promise(s, {"z2_b"});
         s.Lose("z3_c");
       },
       stuck},
      {"nobody has promised, nobody streams", [](Shard& s) { s.Lose("z2_b"), s.Lose("z3_c"); }, kNothing},
      {"an attempt may still be under way", [&](Shard& s) { promise(s, {"z2_b", "z3_c"}, 5s); }, kNothing},
      {"the rule has just been proposed",
       [&](Shard& s) {
         open(s);
         promise(s, {"z2_b", "z3_c"});
         s.rule_known_for = 5s;
       },
       kNothing},
  });
}

// It was recruited while it waited, the attempt came to nothing, and it leads on.
TEST(AnalyseLeader, ReplacesOneThatHasLeftAChangeOfItsRuleUndecided) {
  const auto open = [](Shard& s) { s.SetRules(Undecided(Rule(1, 0, "z1_a", kCohort), Rule(1, 1, "z1_a", kCohort))); };
  Check({
      {"for longer than it tries",
       [&](Shard& s) {
         open(s);
         s.rule_known_for = 80s;
       },
       {"LeaderStuck->AppointLeader"}},
      {"it may still be at it",
       [&](Shard& s) {
         open(s);
         s.rule_known_for = 70s;
       },
       kNothing},
  });
}

TEST(AnalyseLeader, AsksTheFollowersAboutOneThatIsNotHeard) {
  const auto both = [](Shard& s, const std::function<void(Shard&, const char*)>& fault) {
    for (const char* member : {"z2_b", "z3_c"}) fault(s, member);
  };
  const auto detach = [](Shard& s, const char* member) { s.Detach(member); };
  Check({
      {"gone with its host: nobody streams from it",
       [&](Shard& s) {
         s.Lose("z1_a", 1100ms);
         both(s, detach);
       },
       kUnreachable},
      {"lost just now",
       [&](Shard& s) {
         s.Lose("z1_a", 900ms);
         both(s, detach);
       },
       kNothing},
      {"receivers that went away this moment may come back",
       [&](Shard& s) {
         s.Lose("z1_a");
         both(s, [](Shard& s, const char* member) { s.Detach(member, 300ms); });
       },
       kUnknown},
      {"its host is cut off: everything falls silent",
       [&](Shard& s) {
         s.Silence("z1_a", 1300ms);
         both(s, [](Shard& s, const char* member) { s.Still(member, 1300ms); });
       },
       kUnreachable},
      {"its pooler is gone, its PostgreSQL streams: there is a grace",
       [&](Shard& s) {
         s.Lose("z1_a", 2900ms);
         both(s, [](Shard& s, const char* member) { s.Still(member, 2900ms); });
       },
       kUnknown},
      {"its pooler didn't come back in time",
       [&](Shard& s) {
         s.Lose("z1_a", 3100ms);
         both(s, [](Shard& s, const char* member) { s.Still(member, 3100ms); });
       },
       kUnreachable},
      {"only this orchestrator lost it", [](Shard& s) { s.Lose("z1_a"); }, kUnknown},
      {"only this orchestrator hears nothing of it", [](Shard& s) { s.Silence("z1_a"); }, kUnknown},
      {"leader and one follower on the other side: they still commit",
       [](Shard& s) {
         s.Lose("z1_a");
         s.Lose("z2_b");
         s.Detach("z3_c");
       },
       kUnknown},
      {"one of two followers is cut off, the other one sees it move",
       [](Shard& s) {
         s.Lose("z1_a");
         s.Detach("z2_b");
       },
       {"LeaderHealthUnknown"}},
      {"what the followers saw is old itself",
       [&](Shard& s) {
         s.Silence("z1_a", 2s);
         both(s, [](Shard& s, const char* member) {
           s.Still(member, 2s);
           s.Silence(member, 2s);
         });
       },
       kUnknown},
      {"a follower's own PostgreSQL doesn't answer: it has seen nothing either way",
       [&](Shard& s) {
         s.Silence("z1_a", 2s);
         both(s, [](Shard& s, const char* member) { s.Still(member, 2s); });
         s.Freeze("z3_c", 2s);
       },
       kUnknown},
      {"it left the topology, and nobody streams from it",
       [&](Shard& s) {
         s.Remove("z1_a");
         both(s, detach);
       },
       kUnreachable},
      {"bad news from before its stream broke may be old news",
       [](Shard& s) {
         s.KillPostgres("z1_a");
         s.Lose("z1_a", 100ms);
       },
       kUnknown},
      {"followers that never had this leader tell nothing about it yet",
       [&](Shard& s) {
         const auto before = Decided(Rule(1, 0, "z2_b", kCohort));
         s.SetRules(Decided(Rule(2, 0, "z1_a", kCohort)));
         both(s, [&](Shard& s, const char* member) {
           s.SetOwnRules(member, before);
           s.Detach(member);
         });
         s.Lose("z1_a");
         s.rule_known_for = 5s;
       },
       kUnknown},
      {"followers that had it do, however young its rule",
       [&](Shard& s) {
         s.SetRules(Decided(Rule(2, 0, "z1_a", kCohort)));
         both(s, detach);
         s.Lose("z1_a");
         s.rule_known_for = 2s;
       },
       kUnreachable},
  });
}

TEST(AnalyseLeader, LeavesAPromotionTimeToFinish) {
  const auto promoting = Undecided(Rule(1, 0, "z2_b", kCohort), Rule(2, 0, "z1_a", kCohort));
  const auto told = [&](Shard& s, Duration known_for) {
    s.SetRules(promoting);
    for (std::string_view member : kCohort) s.SetOwnRules(std::string(member), Decided(Rule(1, 0, "z2_b", kCohort)));
    s.Recover("z1_a");
    s.rule_known_for = known_for;
  };
  Check({
      {"still a standby", [&](Shard& s) { told(s, 5s); }, kNothing},
      {"still a standby after very long", [&](Shard& s) { told(s, 11s); }, kUnhealthy},
      {"its process died on the way",
       [&](Shard& s) {
         told(s, 1s);
         s.KillPostgres("z1_a");
       },
       kUnhealthy},
      {"out of recovery, the rule not decided yet",
       [&](Shard& s) {
         s.SetRules(promoting);
         s.rule_known_for = 5s;
       },
       kNothing},
      {"never decided",
       [&](Shard& s) {
         s.SetRules(promoting);
         s.rule_known_for = 11s;
       },
       kUnhealthy},
      {"known here to have failed",
       [&](Shard& s) {
         s.SetRules(promoting);
         s.rule_known_for = 1s;
         s.extra.abandoned_term = 2;
       },
       kUnhealthy},
      {"it fell back into recovery with the rule in its WAL",
       [&](Shard& s) {
         s.SetRules(promoting);
         s.Recover("z1_a");
         s.rule_known_for = 1s;
       },
       kUnhealthy},
      {"silent on the way",
       [&](Shard& s) {
         told(s, 5s);
         s.Silence("z1_a");
         s.Detach("z2_b");
         s.Detach("z3_c");
       },
       kUnknown},
      {"decided a moment ago, and what it says about itself is older",
       [&](Shard& s) {
         told(s, 100ms);
         s.SetRules("z3_c", Decided(Rule(2, 0, "z1_a", kCohort)));
       },
       kNothing},
  });
}

TEST(AnalyseLeader, AnAppointmentThatCannotSucceedIsAnAlert) {
  Shard shard;
  shard.Recover("z1_a");
  shard.Lose("z2_b");
  shard.Lose("z3_c");
  EXPECT_EQ(Problems(shard), (Texts{"LeaderUnhealthy", "ShardStuck"}));
}

TEST(AnalyseLeader, LossesThatLeaveNoSpareAreAnAlert) {
  Shard shard;
  shard.Lose("z3_c");
  EXPECT_EQ(Problems(shard), Texts{"ShardAtRisk"});
  shard.Lose("z2_b");
  EXPECT_EQ(Problems(shard), (Texts{"ShardStuck", "ShardAtRisk"})) << "writes hang";
  shard.Lose("z1_a");
  EXPECT_EQ(Problems(shard), (Texts{"NoHealthyCohortMembers", "LeaderHealthUnknown"}));
}

TEST(AnalyseLeader, ALeaderWhoseStandbysAreAllDeadIsKept) {
  Shard shard;
  shard.KillPostgres("z2_b");
  shard.KillPostgres("z3_c");
  shard.Pooler("z1_a").write_stall = 1min;
  EXPECT_EQ(Problems(shard), (Texts{"ShardStuck", "ShardAtRisk"}));
}

TEST(AnalyseLeader, AClockThatIsAnHourOffChangesNothing) {
  for (Duration skew : {-1h, 1h}) {
    Shard shard;
    auto rule = Rule(2, 0, "z1_a", kCohort);
    *rule.mutable_creation_time() = consensus::ToTimestamp(consensus::testing::kNow + skew);
    shard.SetRules(Undecided(Rule(1, 0, "z2_b", kCohort), rule));
    shard.rule_known_for = 5s;
    EXPECT_EQ(ProblemsButRisk(shard), kNothing);
    shard.rule_known_for = 11s;
    EXPECT_EQ(ProblemsButRisk(shard), kUnhealthy);
  }
}

}  // namespace
}  // namespace multigres::orch
