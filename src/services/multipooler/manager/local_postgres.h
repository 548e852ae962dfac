// The PostgreSQL of this machine behind the manager's seams: SQL sessions, files, and pgctld for the process.
#pragma once

#include "services/multipooler/consensus/postgres.h"
#include "services/multipooler/consensus/sql_shard_schema.h"
#include "services/multipooler/manager/config.h"
#include "services/multipooler/replication/sql_server.h"
#include "tools/fs/disk.h"

namespace multigres::pooler::manager {

class LocalPostgres {
 public:
  LocalPostgres(Reactor& reactor, const ManagerConfig& config)
      : sessions_(reactor, config.admin),
        server_(sessions_, config.data_dir),
        schema_(sessions_),
        data_(reactor, config.data_dir, config.pg_bin_dir) {}

  consensus::Postgres Seams(replication::PostgresProcess& process) { return {process, server_, schema_, data_}; }
  fs::Disk& disk() { return disk_; }

 private:
  replication::AdminSessions sessions_;
  replication::SqlServer server_;
  consensus::SqlShardSchema schema_;
  replication::LocalDataDirectory data_;
  fs::LocalDisk disk_;
};

}  // namespace multigres::pooler::manager
