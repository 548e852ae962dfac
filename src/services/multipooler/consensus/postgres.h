// This member's PostgreSQL, by its seams: process, running server, its database, its files.
#pragma once

#include "services/multipooler/consensus/shard_schema.h"
#include "services/multipooler/replication/data_directory.h"
#include "services/multipooler/replication/postgres_process.h"
#include "services/multipooler/replication/server.h"

namespace multigres::pooler::consensus {

struct Postgres {
  replication::PostgresProcess& process;
  replication::Server& server;
  ShardSchema& schema;
  replication::DataDirectory& data;
};

}  // namespace multigres::pooler::consensus
