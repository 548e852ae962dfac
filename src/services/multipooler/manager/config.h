// What a pooler's manager is told about itself and its PostgreSQL.
#pragma once

#include <string>

#include "clustermetadata.pb.h"
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
  Duration heartbeat_interval = std::chrono::seconds(1);
  Duration refresh_interval = std::chrono::seconds(1);
  Duration monitor_interval = std::chrono::seconds(5);
};

}  // namespace multigres::pooler::manager
