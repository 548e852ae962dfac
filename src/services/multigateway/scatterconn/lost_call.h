// What a call that was cut off means to its client.
#pragma once

#include "tools/result/error.h"

namespace multigres::gateway::session {
class Session;
}

namespace multigres::gateway::scatterconn {

// A call whose connection to the pooler was lost says nothing of what became of its statement. On a backend of the
// session's own inside a transaction, that is rolled back: 40001. Otherwise it may have committed: 08007, unless it
// never left this process. Other errors are as they are. To be asked before the reservation is forgotten.
Error AsClientSees(const session::Session& session, Error error);

// The same for what ends a transaction for good, COMMIT and PREPARE TRANSACTION: 40001 only if it was never sent.
Error CommitAsClientSees(const session::Session& session, Error error);

// The same for a COPY FROM that hasn't been told of its end: nothing of it is left, 40001.
Error UncommittedAsClientSees(const session::Session& session, Error error);

}  // namespace multigres::gateway::scatterconn
