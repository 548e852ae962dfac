// What a call's outcome means for the session's reservation and transaction.
#pragma once

#include "services/multigateway/engine/iexecute.h"

namespace query {
class ReservationOptions;
class ReservedState;
}  // namespace query

namespace multigres::gateway::scatterconn {

// Does the next call have to reserve, or to change what is reserved? If so, `options()` is filled: with the open
// transaction's reason and deferred BEGIN, and with the pinning.
bool NeedsReservationOptions(const session::Session& session, const engine::Pinning* pinning);
void FillReservationOptions(session::Session& session, const engine::Pinning* pinning,
                            ::query::ReservationOptions& options);

// `state` null = the pooler holds nothing for the session (any more).
void Update(session::Session& session, const ::query::ReservedState* state, const Error* error);

// The session holds nothing any more; an open transaction that had begun has failed.
void Forget(session::Session& session);

}  // namespace multigres::gateway::scatterconn
