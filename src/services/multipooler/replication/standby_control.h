// Steering a standby: whom it follows, whether it receives and replays, and waiting for both.
#pragma once

#include <string>

#include "services/multipooler/replication/postgres_process.h"
#include "services/multipooler/replication/server.h"
#include "services/multipooler/replication/settings.h"

namespace multigres::pooler::replication {

// Swaps primary_conninfo (and drops restore_command) if it differs, and resumes a paused replay.
Awaitable<Result<>> Follow(Server& server, PrimaryConninfo conninfo, Deadline deadline);

// Empties primary_conninfo and waits until the WAL receiver is gone (or waits without one).
Awaitable<Result<>> StopReceiver(Server& server, Deadline deadline);

// Takes no part in replication any more: receiver stopped, restore_command dropped and ended, everything received
// replayed. DEADLINE_EXCEEDED if replay stalls.
Awaitable<Result<>> StopParticipation(Server& server, PostgresProcess& process, Deadline deadline);

// Done when replay has reached what was received, or the startup process was seen waiting for new WAL in two looks in a
// row, 100 ms apart (the end of what was received may be half a record). An LSN that stands still proves nothing.
Awaitable<Result<>> WaitForReplay(Server& server, Deadline deadline);

// Polls every 100 ms until the server has replayed up to `target`.
Awaitable<Result<>> WaitForLsn(Server& server, Lsn target, Deadline deadline);

Awaitable<Result<>> PauseReplay(Server& server, bool wait, Deadline deadline);
Awaitable<Result<>> ResumeReplay(Server& server, Deadline deadline);

}  // namespace multigres::pooler::replication
