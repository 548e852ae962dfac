// May a statement that a server in recovery refused be run elsewhere?
#pragma once

namespace multigres::gateway::session {
class Session;
}

namespace multigres::gateway::scatterconn {

// True if the refusal left nothing behind and the client didn't ask for it: a single statement, or the first of a
// transaction whose BEGIN went out with it, and neither BEGIN nor default_transaction_read_only forbids writing.
bool IsReplaySafeIfReadOnly(const session::Session& session);

}  // namespace multigres::gateway::scatterconn
