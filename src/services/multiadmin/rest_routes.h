// The REST form of MultiAdminService: which method answers which path.
#pragma once

#include <array>
#include <string_view>

namespace multigres::admin {

// A {parameter} names the request's field that it sets. GET: the query sets the other fields at the request's top
// level. POST: the body is the request, the path's fields over it.
struct RestRoute {
  std::string_view method;
  std::string_view pattern;
  std::string_view rpc;
};

inline constexpr auto kRestRoutes = std::to_array<RestRoute>({
    {"GET", "/api/v1/cells", "GetCellNames"},
    {"GET", "/api/v1/cells/{name}", "GetCell"},
    {"GET", "/api/v1/databases", "GetDatabaseNames"},
    {"GET", "/api/v1/databases/{name}", "GetDatabase"},
    {"GET", "/api/v1/gateways", "GetGateways"},
    {"GET", "/api/v1/gateways/{gateway_id.cell}/{gateway_id.name}/queries", "GetGatewayQueries"},
    {"GET", "/api/v1/gateways/{gateway_id.cell}/{gateway_id.name}/consolidator", "GetGatewayConsolidator"},
    {"GET", "/api/v1/poolers", "GetPoolers"},
    {"GET", "/api/v1/poolers/{pooler_id.cell}/{pooler_id.name}/status", "GetPoolerStatus"},
    {"POST", "/api/v1/poolers/{pooler_id.cell}/{pooler_id.name}/postgres-restarts", "SetPostgresRestartsEnabled"},
    {"GET", "/api/v1/orchs", "GetOrchs"},
    {"GET", "/api/v1/backups", "GetBackups"},
    {"POST", "/api/v1/backups", "Backup"},
    {"POST", "/api/v1/backups/expire", "ExpireBackups"},
    {"POST", "/api/v1/backups/verify", "VerifyBackups"},
    {"GET", "/api/v1/jobs/{job_id}", "GetBackupJobStatus"},
    {"POST", "/api/v1/shards/{shard_key.database}/{shard_key.table_group}/{shard_key.shard}/rule-change",
     "ApplyCertifiedRuleChange"},
    {"POST", "/api/v1/shards/{shard_key.database}/{shard_key.table_group}/{shard_key.shard}/switch-primary",
     "SwitchPrimary"},
});

}  // namespace multigres::admin
