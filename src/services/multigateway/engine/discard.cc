#include "services/multigateway/engine/discard.h"

#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {

Awaitable<Result<>> DiscardAll::Execute(PlanContext& context) const {
  session::Session& session = context.session;
  if (!session.transaction().idle()) {
    co_return Fail(Code::kFailedPrecondition, "25001", "DISCARD ALL cannot run inside a transaction block");
  }
  if (session.reservation().held()) {
    // Its failure has cost the backend, which is what was asked for.
    auto released = co_await context.execute.ReleaseReservedConnection(session, true, context.scope);
    static_cast<void>(released);
  }
  session.statements().Clear();
  session.settings().DiscardAll();
  session.reported().ResetAll();
  session.reported().Reset("session_authorization");
  session.reported().Reset("is_superuser");
  session.portals_to_release().clear();
  CompleteWithoutRows(context, "DISCARD ALL");
  co_return Result<>();
}

Awaitable<Result<>> DiscardTemp::Execute(PlanContext& context) const {
  if (context.session.reservation().Has(session::reason::kTempTable)) {
    auto discarded = co_await context.execute.DiscardTempTables(context.session, context.scope);
    if (!discarded) co_return discarded;
  }
  CompleteWithoutRows(context, "DISCARD TEMP");
  co_return Result<>();
}

}  // namespace multigres::gateway::engine
