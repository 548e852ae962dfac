#include "services/multigateway/scatterconn/reservation_update.h"

#include "common/mterrors/conditions.h"
#include "common/topoclient/names.h"
#include "query.pb.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {

using session::Session;
namespace reason = session::reason;

bool NeedsReservationOptions(const Session& session, const engine::Pinning* pinning) {
  if (pinning != nullptr) return true;
  return !session.transaction().idle() && !session.reservation().Has(reason::kTransaction);
}

void FillReservationOptions(Session& session, const engine::Pinning* pinning, ::query::ReservationOptions& options) {
  std::uint32_t reasons = 0;
  if (!session.transaction().idle() && !session.reservation().Has(reason::kTransaction)) {
    reasons |= reason::kTransaction;
    if (session.transaction().begin_unsent()) options.set_begin_query(session.transaction().begin_text());
  }
  if (pinning != nullptr) {
    reasons |= pinning->reasons;
    for (const std::string& name : pinning->pin_portals) options.add_pin_portal_names(name);
    for (const std::string& name : pinning->release_portals) options.add_release_portal_names(name);
    options.set_recheck_advisory_locks(pinning->recheck_advisory_locks);
  }
  options.set_reasons(reasons);
}

void Forget(Session& session) {
  session.reservation() = {};
  session.portals_to_release().clear();
  if (session.transaction().idle()) return;
  session.transaction().BeginSent();
  session.transaction().Fail();
}

void Update(Session& session, const ::query::ReservedState* state, const Error* error) {
  session::Reservation& reservation = session.reservation();
  if (state != nullptr && state->reserved_connection_id() != 0) {
    // The usual case: nothing has changed, and nothing is copied.
    if (reservation.connection_id != state->reserved_connection_id()) {
      reservation.connection_id = state->reserved_connection_id();
      reservation.pooler_id = topo::ComponentId(state->pooler_id());
    }
    reservation.reasons = state->reservation_reasons();
    reservation.backend_process_id = state->backend_process_id();
    if (!session.transaction().idle()) {
      if (reservation.Has(reason::kTransaction)) {
        session.transaction().BeginSent();
      } else if (!session.transaction().begin_unsent()) {
        session.transaction().Fail();
      }
    }
    return;
  }
  // A cancelled call can't tell; the backend is still there if the pooler could stop the statement in time.
  bool interrupted = error != nullptr && error->sqlstate() == mterrors::kQueryCanceled;
  if (interrupted && reservation.held()) return;
  if (reservation.held()) return Forget(session);
  if (session.transaction().idle()) return;
  // The first statement of a block: either it failed before a backend was reserved, or the pooler broke its word.
  session.transaction().BeginSent();
  session.transaction().Fail();
}

}  // namespace multigres::gateway::scatterconn
