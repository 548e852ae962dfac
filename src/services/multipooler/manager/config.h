// What a pooler's manager is told about itself and its PostgreSQL.
#pragma once

#include <string>

#include "clustermetadata.pb.h"
#include "services/multipooler/manager/quarantine.h"
#include "services/multipooler/replication/admin_sessions.h"
#include "tools/clock/clock.h"

namespace multigres::pooler::manager {

struct ManagerConfig {
  ::clustermetadata::ID id;  // component MULTIPOOLER
  ::clustermetadata::ShardKey shard;
  std::string hostname;  // other members reach this one's PostgreSQL and gRPC there
  std::int32_t grpc_port = 0;
  std::int32_t http_port = 0;
  std::int32_t pg_port = 5432;
  std::string pooler_dir;
  std::string data_dir;    // PGDATA
  std::string pg_bin_dir;  // pg_basebackup
  replication::AdminOptions admin;
  // The operator's word that lost promises don't matter, because this id is a new one.
  bool fresh_identity = false;
  QuarantineOptions quarantine;
  // A leader's write probe, and what standbys measure their lag by.
  Duration heartbeat_interval = std::chrono::milliseconds(200);
  // How often PostgreSQL is asked, and the status published at the latest.
  Duration refresh_interval = std::chrono::milliseconds(200);
  // Without an answer for so long PostgreSQL isn't ready.
  Duration unready_timeout = std::chrono::seconds(1);
  Duration monitor_interval = std::chrono::seconds(5);
};

}  // namespace multigres::pooler::manager
