// What this member knows of itself and of its shard, in memory. Shared by the agent that changes it, the monitor that
// acts on it and the status that reports it; all on one reactor.
#pragma once

#include <optional>
#include <string>

#include "clustermetadata.pb.h"
#include "services/multipooler/replication/server_state.h"

namespace multigres::pooler::consensus {

struct MemberState {
  ::clustermetadata::ID self;
  ::clustermetadata::PoolerAddress address;  // of this member's PostgreSQL

  // The last that PostgreSQL said. `server` is empty if that is nothing to go by: it is down, or hasn't answered for
  // long.
  std::optional<replication::ServerState> server;
  ::clustermetadata::PoolerPosition position;  // rules and LSN; kept over an outage
  bool bootstrapped = false;                   // the rule table has been seen
  // A probe has been waiting for longer than --postgres-unready-timeout: operations refuse at once instead of waiting
  // as well.
  bool unresponsive = false;

  // What SetPrimary said (or, on the leader, this member itself).
  std::optional<::clustermetadata::ReplicationPrimary> recorded_primary;

  std::int64_t resigned_term = 0;     // REQUESTING_DEMOTION while the own rule is of this term
  bool eligible = true;               // for cohorts and recruitment
  bool suspected_divergence = false;  // own WAL may have left the shard's history
  bool promoting = false;             // between pg_promote and the decision
  bool writes_admitted = false;       // this run was promoted here, by the rule that it stands on
  std::int64_t admitted_term = 0;
  bool replication_stopped = false;  // StopReplication: no self-healing, ineligible
};

}  // namespace multigres::pooler::consensus
