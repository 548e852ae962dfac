// A shard's view to break, for tests of the analysis: z1_a leads z2_b and z3_c by rule 1.0, and all is well.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/consensus/position.h"
#include "common/consensus/testing.h"
#include "services/multiorch/recovery/analysis.h"

namespace multigres::orch::testing_shard {

using namespace std::chrono_literals;
using consensus::testing::Members;

inline const TimePoint kStart{1000h};
inline const Moment kMoment{kStart, consensus::testing::kNow};
inline const Members kCohort = {"z1_a", "z2_b", "z3_c"};

using Texts = std::vector<std::string>;

class Shard {
 public:
  Shard() {
    for (std::string_view member : kCohort) Add(std::string(member));
    SetRules(consensus::testing::Decided(consensus::testing::Rule(1, 0, "z1_a", kCohort)));
    auto& leader = *Status("z1_a").mutable_status();
    leader.set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY);
    leader.clear_replication_status();
    leader.mutable_primary_status()->set_lsn("0/100");
    PoolerView& pooler = Pooler("z1_a");
    pooler.write_stall = 100ms;
    pooler.progress_stall.reset();
    pooler.detached.reset();
  }

  void Add(std::string member) {
    PoolerView pooler;
    pooler.member = member;
    auto record = std::make_shared<::clustermetadata::MultiPooler>();
    *record->mutable_id() = consensus::testing::Member(member);
    record->set_hostname(member + ".test");
    (*record->mutable_port_map())["postgres"] = 5432;
    pooler.record = std::move(record);
    pooler.known_since = kStart - 1h;
    pooler.stream_connected = true;
    pooler.last_heard = pooler.last_ready = kStart - 100ms;
    pooler.answer_stall = pooler.progress_stall = 100ms;
    pooler.detached = 0ms;
    auto& response = statuses_[member];
    auto& status = *response.mutable_status();
    status.set_is_initialized(true);
    status.set_postgres_running(true);
    status.set_postgres_ready(true);
    status.set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_STANDBY);
    status.set_system_identifier("7");
    *status.mutable_last_answer_time() = consensus::ToTimestamp(consensus::testing::kNow - 200ms);
    status.mutable_replication_status()->mutable_primary_conn_info()->set_host("z1_a.test");
    status.mutable_replication_status()->set_wal_receiver_status("streaming");
    *response.mutable_consensus_status()->mutable_id() = consensus::testing::Member(member);
    response.mutable_consensus_status()->mutable_current_position()->set_lsn("0/100");
    poolers_[member] = std::move(pooler);
    if (!rules_.decision().cohort_members().empty()) SetRules(member, rules_);
  }

  void SetRules(const ::clustermetadata::RulePosition& rules) {
    rules_ = rules;
    for (const auto& [member, pooler] : poolers_) SetRules(member, rules);
  }
  void SetRules(const std::string& member, const ::clustermetadata::RulePosition& rules) {
    SetOwnRules(member, rules);
    auto& consensus = *Status(member).mutable_consensus_status();
    *consensus.mutable_replication_primary()->mutable_position() = rules;
    const auto& rule = consensus::HighestRule(rules);
    if (rule.has_leader_id())
      *consensus.mutable_replication_primary()->mutable_primary()->mutable_id() = rule.leader_id();
  }
  // In its WAL, whatever it was told to follow.
  void SetOwnRules(const std::string& member, const ::clustermetadata::RulePosition& rules) {
    *Status(member).mutable_consensus_status()->mutable_current_position()->mutable_position() = rules;
  }
  ::multipoolermanagerdata::StatusResponse& Status(const std::string& member) { return statuses_.at(member); }
  ::multipoolermanagerdata::StandbyReplicationStatus& Replication(const std::string& member) {
    return *Status(member).mutable_status()->mutable_replication_status();
  }
  PoolerView& Pooler(const std::string& member) { return poolers_.at(member); }
  void Remove(const std::string& member) { poolers_.erase(member); }

  // Its stream was lost so long ago.
  void Lose(const std::string& member, Duration ago = 20s) {
    Pooler(member).stream_connected = false;
    Pooler(member).last_heard = kStart - ago;
  }
  // Its stream stands, and nothing has come for so long.
  void Silence(const std::string& member, Duration ago = 2s) { Pooler(member).last_heard = kStart - ago; }
  // Its receiver has gone.
  void Detach(const std::string& member, Duration ago = 2s) {
    Replication(member).clear_wal_receiver_status();
    Pooler(member).detached = ago;
  }
  // It streams, and nothing has moved for so long.
  void Still(const std::string& member, Duration duration) { Pooler(member).progress_stall = duration; }
  void KillPostgres(const std::string& member) {
    Status(member).mutable_status()->set_postgres_running(false);
    Status(member).mutable_status()->set_postgres_ready(false);
  }
  // All its processes are stopped.
  void Freeze(const std::string& member, Duration duration) {
    Pooler(member).answer_stall = duration;
    if (Pooler(member).write_stall) Pooler(member).write_stall = duration;
    if (duration >= 1s) Status(member).mutable_status()->set_postgres_ready(false);
  }
  void Recover(const std::string& member) {
    auto& status = *Status(member).mutable_status();
    status.set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_STANDBY);
    status.clear_primary_status();
    Pooler(member).write_stall.reset();
  }
  void RunAsPrimary(const std::string& member) {
    Status(member).mutable_status()->set_postgres_status(::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY);
  }
  void MakeIneligible(const std::string& member, Duration ago = 1min) {
    Status(member).mutable_availability_status()->mutable_cohort_eligibility_status()->set_signal(
        ::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_INELIGIBLE);
    Pooler(member).ineligible_since = kStart - ago;
  }
  void ShutDown(const std::string& member, Duration ago = 1min) {
    Lose(member);
    Pooler(member).tombstoned = true;
    Pooler(member).tombstoned_since = kStart - ago;
  }
  void AskForDemotion(const std::string& member, std::int64_t term, Duration ago = 1s) {
    Pooler(member).resigning_since = kStart - ago;
    auto& leadership = *Status(member).mutable_availability_status()->mutable_leadership_status();
    leadership.set_leader_term(term);
    leadership.set_signal(::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
  }

  ShardView View() const {
    ShardView view = extra;
    view.known_rule = consensus::HighestRule(rules_).rule_number();
    view.rule_known_since = kStart - rule_known_for;
    for (auto [member, pooler] : poolers_) {
      pooler.status = std::make_shared<const ::multipoolermanagerdata::StatusResponse>(statuses_.at(member));
      pooler.status_rules = consensus::Numbers(pooler.rules());
      view.poolers.push_back(std::move(pooler));
    }
    return view;
  }
  ShardView extra;
  Duration rule_known_for = 1h;

 private:
  std::map<std::string, PoolerView> poolers_;
  std::map<std::string, ::multipoolermanagerdata::StatusResponse> statuses_;
  ::clustermetadata::RulePosition rules_;
};

inline std::string Text(const Problem& problem) {
  std::string text(CodeText(problem.code));
  if (problem.action != ActionKind::kNone) text += fmt::format("->{}", ActionText(problem.action));
  if (!problem.member.empty()) text += fmt::format("({})", problem.member);
  return text;
}

// "Code->Action(member)" of each problem, most urgent first; alerts without the arrow.
inline Texts Problems(const Shard& shard) {
  Texts texts;
  for (const Problem& problem : Analyse(shard.View(), kMoment, consensus::testing::Coordinator("me"))) {
    texts.push_back(Text(problem));
  }
  return texts;
}

// As Problems(), without the alerts about what the next loss would do.
inline Texts ProblemsButRisk(const Shard& shard) {
  Texts texts = Problems(shard);
  std::erase(texts, "ShardAtRisk");
  std::erase(texts, "ShardStuck");
  return texts;
}

// A fault and what is then called a problem, alerts about the next loss left out.
struct Case {
  const char* name;
  std::function<void(Shard&)> fault;
  Texts expected;
};

inline void Check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    Shard shard;
    c.fault(shard);
    EXPECT_EQ(ProblemsButRisk(shard), c.expected) << c.name;
  }
}

}  // namespace multigres::orch::testing_shard
