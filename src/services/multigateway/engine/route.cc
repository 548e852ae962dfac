#include "services/multigateway/engine/route.h"

#include <fmt/format.h>

#include "query.pb.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {

Awaitable<Result<>> Forward(PlanContext& context, const Pinning& pinning, queryservice::ResultSink& sink) {
  const Pinning* needed = pinning.empty() ? nullptr : &pinning;
  if (context.portal == nullptr) {
    return context.execute.StreamExecute(context.session, {.sql = context.sql, .pinning = needed}, context.scope, sink);
  }
  PortalCall call{.portal = context.portal,
                  .pinning = needed,
                  .max_rows = context.max_rows,
                  .include_describe = context.columns == ColumnsWanted::kDescribeResponse};
  return context.execute.PortalStreamExecute(context.session, call, context.scope, sink);
}

Awaitable<Result<>> RunInternally(PlanContext& context, std::string_view sql, queryservice::ResultSink& sink) {
  return context.execute.StreamExecute(context.session, {.sql = sql, .passthrough = false}, context.scope, sink);
}

void Complete(PlanContext& context, const ResultForwarder& forwarder) {
  using State = session::Portal::State;
  if (!forwarder.tag().empty()) {
    if (context.portal != nullptr) context.portal->state = State::kDone;
    context.sink.CommandComplete(forwarder.tag());
  } else if (context.portal != nullptr && context.max_rows != 0) {
    context.portal->state = State::kSuspended;
    context.sink.PortalSuspended();
  } else {
    context.sink.EmptyQuery();
  }
}

Awaitable<Result<>> Route::Execute(PlanContext& context) const {
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
  if (!ran) co_return ran;
  for (const PgDiagnostic& warning : options_.warnings) context.sink.Notice(warning);
  Complete(context, forwarder);
  co_return Result<>();
}

std::string Route::ToString() const {
  std::string text = "Route";
  for (const PgDiagnostic& warning : options_.warnings) text += fmt::format(" warns({})", warning.message);
  return text;
}

Awaitable<Result<>> DeclareHoldCursor::Execute(PlanContext& context) const {
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
  if (!ran) co_return ran;
  context.session.settings().AddHoldCursor(name_);
  Complete(context, forwarder);
  co_return Result<>();
}

Awaitable<Result<>> CloseCursor::Execute(PlanContext& context) const {
  session::SettingsStack& settings = context.session.settings();
  Pinning pinning;
  for (const std::string& open : settings.hold_cursors()) {
    if (name_.empty() || open == name_) pinning.release_portals.push_back(open);
  }
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, pinning, forwarder);
  if (!ran) co_return ran;
  for (const std::string& closed : pinning.release_portals) settings.RemoveHoldCursor(closed);
  Complete(context, forwarder);
  co_return Result<>();
}

std::string SetConfigSelect::MadeLocal(std::string_view sql) const {
  std::string local;
  std::size_t done = 0;
  for (const sqlparse::SetConfigCall& call : calls_) {
    local += sql.substr(done, call.flag_begin - done);
    local += "true";
    done = call.flag_end;
  }
  local += sql.substr(done);
  return local;
}

Awaitable<Result<>> SetConfigSelect::Execute(PlanContext& context) const {
  session::Session& session = context.session;
  ResultForwarder forwarder(context);
  Result<> ran;
  if (session.pinned()) {
    ran = co_await Forward(context, context.plan.pinning(), forwarder);
  } else {
    std::string local = MadeLocal(context.sql);
    if (context.portal == nullptr) {
      ran = co_await context.execute.StreamExecute(session, {.sql = local}, context.scope, forwarder);
    } else {
      auto source = std::make_shared<session::StatementSource>(*context.portal->source);
      source->query = std::move(local);
      session::Portal portal(std::move(source), context.portal->statement_name,
                             std::make_unique<::query::Portal>(*context.portal->bound));
      PortalCall call{.portal = &portal, .include_describe = context.columns == ColumnsWanted::kDescribeResponse};
      ran = co_await context.execute.PortalStreamExecute(session, call, context.scope, forwarder);
    }
  }
  if (!ran) co_return ran;
  for (const sqlparse::SetConfigCall& call : calls_) {
    if (call.from_pg_settings && forwarder.tag() == "SELECT 0") continue;
    if (call.value) {
      session.settings().Set(call.name, *call.value);
      if (!session.pinned()) session.reported().Observe(call.name, *call.value);
    } else {
      session.settings().Reset(call.name);
      if (!session.pinned()) session.reported().Reset(call.name);
    }
  }
  Complete(context, forwarder);
  co_return Result<>();
}

std::string SetConfigSelect::ToString() const {
  std::string text = "SetConfigSelect(";
  for (const sqlparse::SetConfigCall& call : calls_)
    text += fmt::format("{}={};", call.name, call.value.value_or("NULL"));
  return text + ")";
}

}  // namespace multigres::gateway::engine
