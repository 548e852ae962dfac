// Server settings that belong to replication, changed while the server runs: ALTER SYSTEM, reload, and proof that the
// reload has happened.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/consensus/durability.h"
#include "services/multipooler/replication/admin_sessions.h"

namespace multigres::pooler::replication {

struct SettingChange {
  std::string name;
  std::string value;  // text as SHOW gives it
};

// Writes all of them, reloads, and waits until a session sees every value (at most 5 s).
Awaitable<Result<>> ChangeSettings(AdminSessions& sessions, std::vector<SettingChange> changes, Deadline deadline);

// The only writer of synchronous_commit and synchronous_standby_names. Never writes an empty list.
Awaitable<Result<>> ApplySyncStandbys(AdminSessions& sessions, ::multigres::consensus::SyncStandbys standbys,
                                      Deadline deadline);

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
