// The settings that replication stands on: who acknowledges, and whom a member follows.
#pragma once

#include <string>

#include "common/consensus/durability.h"
#include "services/multipooler/replication/server.h"

namespace multigres::pooler::replication {

// The only writer of synchronous_commit and synchronous_standby_names. Never writes an empty list.
Awaitable<Result<>> ApplySyncStandbys(Server& server, ::multigres::consensus::SyncStandbys standbys, Deadline deadline);

// A member's connection to its leader: `host port user application_name dbname passfile`, and never a password.
struct PrimaryConninfo {
  std::string host;
  int port = 0;
  std::string user;
  std::string application_name;
  std::string passfile;

  std::string Text() const;
};

}  // namespace multigres::pooler::replication
