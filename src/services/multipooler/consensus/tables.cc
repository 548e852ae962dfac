#include "services/multipooler/consensus/tables.h"

#include "common/pgclient/query.h"
#include "services/multipooler/consensus/rule_rows.h"

namespace multigres::pooler::consensus {

namespace {

constexpr std::string_view kTables = R"(
CREATE SCHEMA IF NOT EXISTS multigres;
GRANT USAGE ON SCHEMA multigres TO PUBLIC;
CREATE TABLE IF NOT EXISTS multigres.current_rule (
  shard_id BYTEA PRIMARY KEY,
  decision_coordinator_term BIGINT NOT NULL,
  decision_leader_subterm BIGINT NOT NULL,
  leader_id TEXT,
  coordinator_id TEXT NOT NULL,
  cohort_members TEXT[] NOT NULL,
  durability_policy_name TEXT NOT NULL,
  durability_quorum_type TEXT NOT NULL,
  durability_required_count INT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  proposal_coordinator_term BIGINT,
  proposal_leader_subterm BIGINT,
  proposal_leader_id TEXT,
  proposal_cohort_members TEXT[],
  proposal_durability_policy_name TEXT,
  proposal_durability_quorum_type TEXT,
  proposal_durability_required_count INT,
  proposal_created_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS multigres.rule_history (
  coordinator_term BIGINT,
  leader_subterm BIGINT,
  event_type TEXT NOT NULL CHECK (event_type IN ('promotion', 'replication_config')),
  leader_id TEXT,
  coordinator_id TEXT NOT NULL,
  wal_position TEXT,
  accepted_members TEXT[],
  reason TEXT NOT NULL,
  cohort_members TEXT[] NOT NULL,
  durability_policy_name TEXT NOT NULL,
  durability_quorum_type TEXT NOT NULL,
  durability_required_count INT NOT NULL,
  operation TEXT CHECK (operation IN ('add', 'remove', 'advance')),
  decided BOOLEAN NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (coordinator_term, leader_subterm)
);
CREATE TABLE IF NOT EXISTS multigres.heartbeat (
  shard_id BYTEA PRIMARY KEY,
  leader_id TEXT,
  ts BIGINT
);
CREATE TABLE IF NOT EXISTS multigres.tablegroup (
  name TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS multigres.tablegroup_table (
  tablegroup TEXT NOT NULL REFERENCES multigres.tablegroup(name),
  table_schema TEXT NOT NULL,
  table_name TEXT NOT NULL,
  PRIMARY KEY (tablegroup, table_schema, table_name)
);
CREATE TABLE IF NOT EXISTS multigres.shard (
  tablegroup TEXT NOT NULL REFERENCES multigres.tablegroup(name),
  name TEXT NOT NULL,
  key_range_start BYTEA,
  key_range_end BYTEA,
  PRIMARY KEY (tablegroup, name)
);
CREATE TABLE IF NOT EXISTS multigres.pgbackrest_repos (
  generation BIGINT NOT NULL,
  repo_number INT NOT NULL,
  encrypted BOOLEAN NOT NULL,
  key_fingerprint TEXT,
  state TEXT NOT NULL,
  authoritative BOOLEAN NOT NULL,
  version TEXT,
  updated_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (generation, repo_number)
);
INSERT INTO multigres.tablegroup VALUES ('default') ON CONFLICT DO NOTHING;
INSERT INTO multigres.shard(tablegroup, name) VALUES ('default', '0-inf') ON CONFLICT DO NOTHING;
)";

constexpr std::string_view kUnloggedTables = R"(
CREATE UNLOGGED TABLE IF NOT EXISTS multigres.backend_vpid (
  backend_pid INT PRIMARY KEY,
  vpid BIGINT NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);
GRANT SELECT ON multigres.backend_vpid TO PUBLIC;
)";

// 0 rows if the row is there already.
constexpr std::string_view kBootstrapRow = R"(
INSERT INTO multigres.current_rule
  (shard_id, decision_coordinator_term, decision_leader_subterm, leader_id, coordinator_id, cohort_members,
   durability_policy_name, durability_quorum_type, durability_required_count, created_at)
VALUES ('0'::bytea, 0, 1, NULL, {}, '{{}}', {}, {}, {}, now())
ON CONFLICT DO NOTHING;
INSERT INTO multigres.rule_history
  (coordinator_term, leader_subterm, event_type, leader_id, coordinator_id, wal_position, reason, cohort_members,
   durability_policy_name, durability_quorum_type, durability_required_count, decided, created_at)
SELECT decision_coordinator_term, decision_leader_subterm, 'replication_config', NULL, coordinator_id,
       pg_current_wal_lsn()::text, 'bootstrap', cohort_members, durability_policy_name, durability_quorum_type,
       durability_required_count, true, created_at
FROM multigres.current_rule WHERE shard_id = '0'::bytea AND decision_coordinator_term = 0
ON CONFLICT DO NOTHING;
)";

}  // namespace

std::string CreateSchemaStatements(const ::clustermetadata::DurabilityPolicy& policy, const std::string& bootstrapper) {
  using pgclient::QuoteLiteral;
  std::string sql = "BEGIN; SET LOCAL synchronous_commit = local;";
  sql += kTables;
  sql += kUnloggedTables;
  sql += fmt::format(kBootstrapRow, QuoteLiteral(bootstrapper), QuoteLiteral(policy.policy_name()),
                     QuoteLiteral(QuorumTypeText(policy)), policy.required_count());
  sql += "COMMIT";
  return sql;
}

std::string RecreateUnloggedStatements() {
  std::string sql = "BEGIN; SET LOCAL synchronous_commit = local; DROP TABLE IF EXISTS multigres.backend_vpid;";
  sql += kUnloggedTables;
  sql += "COMMIT";
  return sql;
}

}  // namespace multigres::pooler::consensus
