// The schema `multigres` of a shard: made once, by the winner of the bootstrap, before anybody copies it.
#pragma once

#include "clustermetadata.pb.h"
#include "services/multipooler/replication/admin_sessions.h"

namespace multigres::pooler::consensus {

// Creates the schema and its tables (those that are missing), and the bootstrap row {0,1}: no leader, empty cohort, the
// given policy. Runs with synchronous_commit = local: nobody could acknowledge yet.
Awaitable<Result<>> CreateSchema(replication::AdminSessions& sessions, ::clustermetadata::DurabilityPolicy policy,
                                 std::string bootstrapper, Deadline deadline);

// UNLOGGED tables are lost when a standby becomes primary: makes the pooler's own anew.
Awaitable<Result<>> RecreateUnlogged(replication::AdminSessions& sessions, Deadline deadline);

}  // namespace multigres::pooler::consensus
