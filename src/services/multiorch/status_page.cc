#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "services/multiorch/service.h"

namespace multigres::orch {
namespace {

using servenv::StatusTable;

std::string Age(std::optional<TimePoint> at, TimePoint now) {
  if (!at) return "never";
  return fmt::format("{:.1f} s ago", std::chrono::duration<double>(now - *at).count());
}

std::string PostgresText(const PoolerView& pooler) {
  if (pooler.status == nullptr) return "unknown";
  if (!pooler.postgres().postgres_running()) return "down";
  if (!pooler.postgres().postgres_ready()) return "not ready";
  return pooler.postgres().postgres_status() == ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY ? "primary"
                                                                                                  : "standby";
}

std::string StreamText(const PoolerView& pooler) {
  if (pooler.tombstoned) return "shut down";
  return pooler.stream_connected ? "connected" : "not connected";
}

std::string Since(const std::optional<WallTime>& from, const std::optional<WallTime>& to) {
  if (!from || !to) return "";
  return fmt::format("{} ms", std::chrono::floor<std::chrono::milliseconds>(*to - *from).count());
}

// Steps as the time that each took after the one before; the old leader's return since the new rule.
StatusTable FailoverTable(const FailoverLog& failovers) {
  StatusTable table{
      .title = "Failovers",
      .columns = {"Shard", "Reason", "From", "To", "Rule", "Coordinator", "Detected", "Waited", "Recruited", "Promoted",
                  "Rule written", "First write", "Followers attached", "Old leader back", "Needless"},
      .rows = {}};
  for (const FailoverTimeline& timeline : failovers.Timelines()) {
    table.rows.push_back(
        {ShardName(timeline.shard), std::string(CodeText(timeline.reason)), timeline.old_leader, timeline.new_leader,
         timeline.rule_written ? consensus::RuleNumberText(timeline.new_rule) : "in progress", timeline.coordinator,
         Since(timeline.last_sign, timeline.detected), Since(timeline.detected, timeline.started),
         Since(timeline.started, timeline.recruited), Since(timeline.recruited, timeline.promoted),
         Since(timeline.promoted, timeline.rule_written), Since(timeline.rule_written, timeline.first_write),
         Since(timeline.rule_written, timeline.followers_attached),
         Since(timeline.rule_written, timeline.old_leader_back), timeline.needless ? "yes" : ""});
  }
  return table;
}

}  // namespace

std::vector<StatusTable> Service::StatusTables() const {
  StatusTable shards{.title = "Shards", .columns = {"Shard", "Leader", "Rule", "Cohort", "Policy"}, .rows = {}};
  StatusTable poolers{.title = "Poolers",
                      .columns = {"Pooler", "Shard", "Health stream", "Heard", "PostgreSQL", "Rule", "WAL", "Receiver"},
                      .rows = {}};
  for (const std::string& name : board_.ShardNames()) {
    const ShardView view = board_.View(name);
    const ShardFacts facts = Examine(view);
    shards.rows.push_back({name, facts.leader, consensus::RulePositionText(facts.rules), facts.cohort.Text(),
                           facts.rule().durability_policy().policy_name()});
    for (const PoolerView& pooler : view.poolers) {
      poolers.rows.push_back({pooler.member, name, StreamText(pooler), Age(pooler.last_heard, clock_.Now()),
                              PostgresText(pooler), consensus::RulePositionText(pooler.rules()),
                              pooler.consensus().current_position().lsn(),
                              pooler.postgres().replication_status().wal_receiver_status()});
    }
  }
  StatusTable problems{.title = engine_.enabled() ? "Problems" : "Problems (recovery is disabled)",
                       .columns = {"Shard", "Problem", "Pooler", "Action", "Description"},
                       .rows = {}};
  for (const DetectedProblem& detected : engine_.Problems()) {
    const Problem& problem = detected.problem;
    problems.rows.push_back({ShardName(detected.shard), std::string(CodeText(problem.code)), problem.member,
                             std::string(ActionText(problem.action)), problem.description});
  }
  return {std::move(shards), std::move(poolers), std::move(problems), FailoverTable(engine_.failovers())};
}

}  // namespace multigres::orch
