#include "services/multiorch/recovery/analysis.h"

#include <gtest/gtest.h>

#include "common/consensus/position.h"
#include "common/consensus/testing.h"

namespace multigres::orch {
namespace {

using namespace consensus::testing;
using namespace std::chrono_literals;

const TimePoint kStart{1000h};
const Moment kMoment{kStart, kNow};
const Members kCohort = {"z1_a", "z2_b", "z3_c"};

// A healthy shard: z1_a leads by rule 1.0, z2_b and z3_c stream. Tests break it.
class Shard {
 public:
  Shard() {
    for (std::string_view member : kCohort) Add(std::string(member));
    auto rule = Rule(1, 0, "z1_a", kCohort);
    *rule.mutable_creation_time() = consensus::ToTimestamp(kNow - 1h);
    SetRules(consensus::testing::Decided(rule));
    auto& leader = Status("z1_a");
    leader.mutable_status()->set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY);
    leader.mutable_status()->clear_replication_status();
  }

  void Add(std::string member) {
    PoolerView pooler;
    pooler.member = member;
    auto record = std::make_shared<::clustermetadata::MultiPooler>();
    *record->mutable_id() = Member(member);
    record->set_hostname(member + ".test");
    (*record->mutable_port_map())["postgres"] = 5432;
    pooler.record = std::move(record);
    pooler.known_since = kStart - 1h;
    pooler.stream_connected = true;
    pooler.last_heard = pooler.last_ready = kStart - 1s;
    auto& response = statuses_[member];
    auto& status = *response.mutable_status();
    status.set_is_initialized(true);
    status.set_postgres_running(true);
    status.set_postgres_ready(true);
    status.set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_STANDBY);
    status.set_system_identifier("7");
    status.mutable_replication_status()->mutable_primary_conn_info()->set_host("z1_a.test");
    status.mutable_replication_status()->set_wal_receiver_status("streaming");
    *response.mutable_consensus_status()->mutable_id() = Member(member);
    response.mutable_consensus_status()->mutable_current_position()->set_lsn("0/100");
    poolers_[member] = std::move(pooler);
    if (!rules_.decision().cohort_members().empty()) SetRules(member, rules_);
  }

  void SetRules(const ::clustermetadata::RulePosition& rules) {
    rules_ = rules;
    for (const auto& [member, pooler] : poolers_) SetRules(member, rules);
  }
  void SetRules(const std::string& member, const ::clustermetadata::RulePosition& rules) {
    auto& consensus = *Status(member).mutable_consensus_status();
    *consensus.mutable_current_position()->mutable_position() = rules;
    *consensus.mutable_replication_primary()->mutable_position() = rules;
    const auto& rule = consensus::HighestRule(rules);
    if (rule.has_leader_id())
      *consensus.mutable_replication_primary()->mutable_primary()->mutable_id() = rule.leader_id();
  }
  ::multipoolermanagerdata::StatusResponse& Status(const std::string& member) { return statuses_.at(member); }
  PoolerView& Pooler(const std::string& member) { return poolers_.at(member); }
  void Remove(const std::string& member) { poolers_.erase(member); }
  void Silence(const std::string& member) {
    Pooler(member).stream_connected = false;
    Pooler(member).last_heard = kStart - 20s;
  }
  void Detach(const std::string& member) {
    Status(member).mutable_status()->mutable_replication_status()->clear_wal_receiver_status();
  }
  void Recover(const std::string& member) {
    Status(member).mutable_status()->set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_STANDBY);
  }

  ShardView View() const {
    ShardView view = extra;
    for (auto [member, pooler] : poolers_) {
      pooler.status = std::make_shared<const ::multipoolermanagerdata::StatusResponse>(statuses_.at(member));
      view.poolers.push_back(std::move(pooler));
    }
    return view;
  }
  ShardView extra;

 private:
  std::map<std::string, PoolerView> poolers_;
  std::map<std::string, ::multipoolermanagerdata::StatusResponse> statuses_;
  ::clustermetadata::RulePosition rules_;
};

// "Code->Action(member)" of each problem, most urgent first; alerts without the arrow.
std::vector<std::string> Problems(const Shard& shard) {
  std::vector<std::string> texts;
  for (const Problem& problem : Analyse(shard.View(), kMoment, Coordinator("me"))) {
    std::string text(CodeText(problem.code));
    if (problem.action != ActionKind::kNone) text += fmt::format("->{}", ActionText(problem.action));
    if (!problem.member.empty()) text += fmt::format("({})", problem.member);
    texts.push_back(std::move(text));
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Analyse, AHealthyShardHasNoProblem) {
  EXPECT_EQ(Problems(Shard()), Texts{});
}

TEST(Analyse, AShardWithoutARuleIsInitializedOnceItsPoolersSatisfyThePolicy) {
  Shard shard;
  auto seed = consensus::testing::Decided(Rule(0, 1, "", {}));
  shard.SetRules(seed);
  for (std::string_view member : kCohort) {
    shard.Recover(std::string(member));
    shard.Status(std::string(member)).mutable_consensus_status()->clear_replication_primary();
  }
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"}) << "policy unknown";
  shard.extra.bootstrap_policy = consensus::AtLeast(2);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization->ShardInit"});
  shard.Status("z3_c").mutable_status()->set_is_initialized(false);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization->ShardInit"}) << "two suffice";
  shard.Status("z2_b").mutable_status()->set_postgres_ready(false);
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"});
  shard.Status("z2_b").mutable_status()->set_postgres_ready(true);
  shard.Status("z2_b").mutable_status()->set_system_identifier("8");
  EXPECT_EQ(Problems(shard), Texts{"ShardNeedsInitialization"}) << "two different databases";
}

TEST(Analyse, ALeaderThatCannotLeadIsReplaced) {
  const struct {
    const char* name;
    std::function<void(Shard&)> fault;
    const char* expected;
  } cases[] = {
      {"it asks for it",
       [](Shard& shard) {
         auto& leadership = *shard.Status("z1_a").mutable_availability_status()->mutable_leadership_status();
         leadership.set_leader_term(1);
         leadership.set_signal(::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
       },
       "LeaderResigned->AppointLeader"},
      {"it is ineligible",
       [](Shard& shard) {
         shard.Status("z1_a").mutable_availability_status()->mutable_cohort_eligibility_status()->set_signal(
             ::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE);
       },
       "LeaderResigned->AppointLeader"},
      {"it was shut down",
       [](Shard& shard) {
         shard.Pooler("z1_a").tombstoned = true;
         shard.Silence("z1_a");
       },
       "LeaderResigned->AppointLeader"},
      {"its PostgreSQL is down",
       [](Shard& shard) {
         shard.Status("z1_a").mutable_status()->set_postgres_ready(false);
         shard.Status("z1_a").mutable_status()->set_postgres_running(false);
       },
       "LeaderUnhealthy->AppointLeader"},
      {"it withholds its writes",
       [](Shard& shard) {
         shard.Status("z1_a").mutable_status()->set_pooler_type(::clustermetadata::REPLICA);
         shard.Pooler("z1_a").last_not_withheld = kStart - 11s;
       },
       "LeaderUnhealthy->AppointLeader"},
      {"its PostgreSQL came up as a standby", [](Shard& shard) { shard.Recover("z1_a"); },
       "LeaderUnhealthy->AppointLeader"},
      {"it is gone, and nobody streams from it",
       [](Shard& shard) {
         shard.Silence("z1_a");
         shard.Detach("z2_b");
         shard.Detach("z3_c");
       },
       "LeaderUnreachableByCohort->AppointLeader"},
      {"its pooler is gone, though its PostgreSQL still streams",
       [](Shard& shard) {
         shard.Silence("z1_a");
         for (const char* member : {"z2_b", "z3_c"}) {
           shard.Pooler(member).captured_at = kNow;
           auto& replication = *shard.Status(member).mutable_status()->mutable_replication_status();
           *replication.mutable_leader_heartbeat_advanced_at() = consensus::ToTimestamp(kNow - 4s);
         }
       },
       "LeaderUnreachableByCohort->AppointLeader"},
      {"it left the topology, and nobody streams from it",
       [](Shard& shard) {
         shard.Remove("z1_a");
         shard.Detach("z2_b");
         shard.Detach("z3_c");
       },
       "LeaderUnreachableByCohort->AppointLeader"},
  };
  for (const auto& c : cases) {
    Shard shard;
    c.fault(shard);
    const Texts problems = Problems(shard);
    EXPECT_NE(std::ranges::find(problems, c.expected), problems.end())
        << c.name << ": " << fmt::format("{}", fmt::join(problems, " "));
    EXPECT_EQ(Decide(Analyse(shard.View(), kMoment, Coordinator("me"))).size(), 1u) << c.name;
  }
}

TEST(Analyse, ALeaderThatMayStillLeadIsLeftAlone) {
  const struct {
    const char* name;
    std::function<void(Shard&)> fault;
    Texts expected;
  } cases[] = {
      {"resigned from an older term",
       [](Shard& shard) {
         auto& leadership = *shard.Status("z1_a").mutable_availability_status()->mutable_leadership_status();
         leadership.set_leader_term(0);
         leadership.set_signal(::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
       },
       {}},
      {"busy, but ready a moment ago",
       [](Shard& shard) {
         shard.Status("z1_a").mutable_status()->set_postgres_ready(false);
         shard.Pooler("z1_a").last_ready = kStart - 29s;
       },
       {}},
      {"only this orchestrator lost it", [](Shard& shard) { shard.Silence("z1_a"); }, {"LeaderHealthUnknown"}},
      {"lost right after it said that it isn't ready",
       [](Shard& shard) {
         shard.Status("z1_a").mutable_status()->set_postgres_ready(false);
         shard.Status("z1_a").mutable_status()->set_postgres_running(false);
         shard.Pooler("z1_a").stream_connected = false;
       },
       {"LeaderHealthUnknown"}},
      {"lost, and one of two followers cut off",
       [](Shard& shard) {
         shard.Silence("z1_a");
         shard.Detach("z2_b");
       },
       {"LeaderHealthUnknown"}},
      {"lost by this orchestrator, while its heartbeat advances",
       [](Shard& shard) {
         shard.Silence("z1_a");
         for (const char* member : {"z2_b", "z3_c"}) {
           shard.Pooler(member).captured_at = kNow;
           auto& replication = *shard.Status(member).mutable_status()->mutable_replication_status();
           *replication.mutable_leader_heartbeat_advanced_at() = consensus::ToTimestamp(kNow - 2s);
         }
       },
       {"LeaderHealthUnknown"}},
      {"being promoted",
       [](Shard& shard) {
         auto rule = Rule(2, 0, "z1_a", kCohort);
         *rule.mutable_creation_time() = consensus::ToTimestamp(kNow - 9s);
         shard.SetRules(consensus::testing::Undecided(Rule(1, 0, "z2_b", kCohort), rule));
         shard.Recover("z1_a");
       },
       {}},
  };
  for (const auto& c : cases) {
    Shard shard;
    c.fault(shard);
    Texts problems = Problems(shard);
    std::erase(problems, "ShardAtRisk");
    EXPECT_EQ(problems, c.expected) << c.name;
  }
}

TEST(Analyse, APromotionThatNeverEndsIsTakenOver) {
  Shard shard;
  auto rule = Rule(2, 0, "z1_a", kCohort);
  *rule.mutable_creation_time() = consensus::ToTimestamp(kNow - 11s);
  shard.SetRules(consensus::testing::Undecided(Rule(1, 0, "z2_b", kCohort), rule));
  EXPECT_EQ(Problems(shard), Texts{"LeaderUnhealthy->AppointLeader"}) << "out of recovery, never decided";
  *rule.mutable_creation_time() = consensus::ToTimestamp(kNow - 1s);
  shard.SetRules(consensus::testing::Undecided(Rule(1, 0, "z2_b", kCohort), rule));
  EXPECT_EQ(Problems(shard), Texts{});
  shard.extra.abandoned_term = 2;
  EXPECT_EQ(Problems(shard), Texts{"LeaderUnhealthy->AppointLeader"}) << "known to have failed";
}

TEST(Analyse, AnAppointmentThatCannotSucceedIsAnAlert) {
  Shard shard;
  shard.Recover("z1_a");
  shard.Silence("z2_b");
  shard.Silence("z3_c");
  EXPECT_EQ(Problems(shard), (Texts{"LeaderUnhealthy", "ShardStuck"}));
}

TEST(Analyse, LossesThatLeaveNoSpareAreAnAlert) {
  Shard shard;
  shard.Silence("z3_c");
  EXPECT_EQ(Problems(shard), Texts{"ShardAtRisk"});
  shard.Silence("z2_b");
  shard.Silence("z1_a");
  EXPECT_EQ(Problems(shard), (Texts{"NoHealthyCohortMembers", "LeaderHealthUnknown"}));
}

TEST(Analyse, FollowersAreReattached) {
  const struct {
    const char* name;
    std::function<void(Shard&)> fault;
    Texts expected;
  } cases[] = {
      {"no conninfo",
       [](Shard& shard) {
         shard.Status("z2_b").mutable_status()->mutable_replication_status()->clear_primary_conn_info();
       },
       {"ReplicaNotReplicating->FixReplication(z2_b)"}},
      {"receiver gone", [](Shard& shard) { shard.Detach("z2_b"); }, {"ReplicaNotReplicating->FixReplication(z2_b)"}},
      {"receiver waiting",
       [](Shard& shard) {
         shard.Status("z2_b").mutable_status()->mutable_replication_status()->set_wal_receiver_status("waiting");
       },
       {}},
      {"replay paused",
       [](Shard& shard) {
         shard.Status("z2_b").mutable_status()->mutable_replication_status()->set_is_wal_replay_paused(true);
       },
       {"ReplicaNotReplicating->FixReplication(z2_b)"}},
      {"it believes to lead",
       [](Shard& shard) {
         shard.Status("z2_b").mutable_status()->set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY);
       },
       {"StaleLeader->DemoteStaleLeader(z2_b)"}},
      {"recruited and forgotten",
       [](Shard& shard) {
         *shard.Status("z2_b").mutable_consensus_status()->mutable_term_revocation() =
             Promise(2, 1, 0, "other", kNow - 2min);
         shard.Detach("z2_b");
       },
       {"ReplicaRecruitAbandoned->AdvanceRule(z2_b)"}},
      {"recruited a moment ago",
       [](Shard& shard) {
         *shard.Status("z2_b").mutable_consensus_status()->mutable_term_revocation() =
             Promise(2, 1, 0, "other", kNow - 2s);
         shard.Detach("z2_b");
       },
       {}},
  };
  for (const auto& c : cases) {
    Shard shard;
    c.fault(shard);
    EXPECT_EQ(Problems(shard), c.expected) << c.name;
  }
}

TEST(Analyse, TheCohortFollowsThePoolers) {
  Shard shard;
  shard.Add("z1_d");
  EXPECT_EQ(Problems(shard), Texts{"PoolerNotInCohort->AddToCohort(z1_d)"});
  shard.Detach("z1_d");
  EXPECT_EQ(Problems(shard), Texts{"ReplicaNotReplicating->FixReplication(z1_d)"}) << "it has to stream first";
}

TEST(Analyse, AMemberIsRemovedOnlyIfTheRestCouldLoseItsLeader) {
  auto ineligible = [](Shard& shard) {
    shard.Status("z3_c").mutable_availability_status()->mutable_cohort_eligibility_status()->set_signal(
        ::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE);
  };
  Shard three;
  ineligible(three);
  Texts problems = Problems(three);
  EXPECT_NE(std::ranges::find(problems, "CohortMemberIneligible(z3_c)"), problems.end());
  Shard four;
  four.Add("z1_d");
  four.SetRules(consensus::testing::Decided(Rule(1, 1, "z1_a", {"z1_a", "z2_b", "z3_c", "z1_d"})));
  ineligible(four);
  problems = Problems(four);
  EXPECT_NE(std::ranges::find(problems, "CohortMemberIneligible->RemoveFromCohort(z3_c)"), problems.end());
}

TEST(Decide, TakesTheMostUrgentShardWideProblemAlone) {
  const Problem appoint{ProblemCode::kLeaderResigned, ActionKind::kAppointLeader, "", ""};
  const Problem alert{ProblemCode::kShardStuck, ActionKind::kNone, "", ""};
  const Problem fix{ProblemCode::kReplicaNotReplicating, ActionKind::kFixReplication, "z2_b", ""};
  const Problem add{ProblemCode::kPoolerNotInCohort, ActionKind::kAddToCohort, "z2_b", ""};
  const Problem remove_c{ProblemCode::kCohortMemberIneligible, ActionKind::kRemoveFromCohort, "z3_c", ""};
  const Problem remove_d{ProblemCode::kCohortMemberIneligible, ActionKind::kRemoveFromCohort, "z3_d", ""};
  EXPECT_EQ(Decide({alert, appoint, fix}).size(), 1u);
  EXPECT_EQ(Decide({alert, appoint, fix})[0].action, ActionKind::kAppointLeader);
  const auto chosen = Decide({alert, fix, add, remove_c, remove_d});
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].action, ActionKind::kFixReplication);
  EXPECT_EQ(chosen[1].member, "z3_c");
}

}  // namespace
}  // namespace multigres::orch
