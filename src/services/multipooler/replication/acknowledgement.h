// Has a commit really reached the members that a rule names? Asked of pg_stat_replication, not believed of the commit.
#pragma once

#include <string>

#include "common/consensus/transition.h"
#include "services/multipooler/replication/server.h"

namespace multigres::pooler::replication {

// Waits until no walsender outside `allowed` still counts as a synchronous standby: the walsenders have read the list.
Awaitable<Result<>> WaitUntilOnlyThese(Server& server, ::multigres::consensus::MemberSet allowed, Deadline deadline);

// Waits until members that have flushed `lsn`, together with `leader`, make it durable under the requirement.
Awaitable<Result<>> WaitUntilDurable(Server& server, ::multigres::consensus::AckRequirement requirement,
                                     std::string leader, Lsn lsn, Deadline deadline);

}  // namespace multigres::pooler::replication
