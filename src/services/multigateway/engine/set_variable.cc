#include "services/multigateway/engine/set_variable.h"

#include <fmt/format.h>

#include "common/pgwire/backend.h"
#include "query.pb.h"
#include "services/multigateway/engine/error_rewrite.h"
#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/engine/route.h"
#include "services/multigateway/engine/sql_literal.h"
#include "services/multigateway/engine/warning.h"
#include "services/multigateway/session/client_encoding.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {
namespace {

using session::Session;
using sqlparse::Assignment;

constexpr std::uint32_t kTextOid = 25;

// PostgreSQL's own text, as far as it is known by now.
std::string CanonicalValue(Session& session, const Assignment& assignment) {
  const std::string* reported = session.reported().Get(assignment.name);
  return reported != nullptr ? *reported : assignment.value;
}

void Track(Session& session, const std::string& name, std::string value) {
  session::SettingsStack& settings = session.settings();
  if (name == "role" && session::FoldName(value) == "none") return settings.Reset(name);
  if (name == "session_authorization") settings.Reset("role");
  settings.Set(name, std::move(value));
}

// Asks PostgreSQL for the canonical form of a value, in a way that leaves nothing behind. `value` null = the default.
Awaitable<Result<>> Probe(PlanContext& context, const std::string& name, const std::string* value,
                          std::string& canonical) {
  RowReader row(context.session);
  // Changing the role changes what PostgreSQL reports about it.
  bool of_role = name == "role" || name == "session_authorization";
  std::string sql = fmt::format("SELECT pg_catalog.set_config({}, {}, true){}", SqlLiteral(name),
                                value == nullptr ? "NULL" : SqlLiteral(*value),
                                of_role ? ", pg_catalog.current_setting('is_superuser')" : "");
  auto ran = co_await RunInternally(context, sql, row);
  if (!ran) co_return std::unexpected(AtPosition(std::move(ran.error()), 0));
  const auto& columns = row.columns();
  if (!columns.empty() && columns[0]) canonical = *columns[0];
  if (columns.size() > 1 && columns[1]) context.session.reported().Observe("is_superuser", *columns[1]);
  co_return Result<>();
}

Awaitable<Result<>> ProbeAndTrack(PlanContext& context, const Assignment& assignment) {
  std::string canonical = assignment.value;
  auto probed = co_await Probe(context, assignment.name, &assignment.value, canonical);
  if (!probed) co_return probed;
  context.session.reported().Observe(assignment.name, canonical);
  Track(context.session, assignment.name, std::move(canonical));
  co_return Result<>();
}

void SendTextRow(PlanContext& context, const std::string& column, std::string_view value) {
  if (context.columns != ColumnsWanted::kNone) {
    ::query::StatementDescription description;
    ::query::Field& field = *description.add_fields();
    field.set_name(column);
    field.set_data_type_oid(kTextOid);
    field.set_data_type_size(-1);
    field.set_type_modifier(-1);
    context.sink.RowDescription(description.fields());
  }
  pgwire::WireWriter row;
  std::optional<std::string_view> columns[] = {value};
  pgwire::WriteDataRow(row, columns);
  context.sink.DataRows(std::string(row.view()), 1, false);
}

}  // namespace

Awaitable<Result<>> SetVariable::Execute(PlanContext& context) const {
  Session& session = context.session;
  for (const Assignment& assignment : assignments_) {
    if (assignment.name == "client_encoding" && session::IsLexingUnsafeEncoding(assignment.value)) {
      co_return Fail(
          Code::kUnimplemented, "0A000",
          fmt::format("client_encoding \"{}\" is not supported through the connection pooler", assignment.value));
    }
  }
  if (!session.pinned()) {
    for (const Assignment& assignment : assignments_) {
      auto probed = co_await ProbeAndTrack(context, assignment);
      if (!probed) co_return probed;
    }
    CompleteWithoutRows(context, "SET");
    co_return Result<>();
  }
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
  if (!ran) co_return ran;
  for (const Assignment& assignment : assignments_)
    Track(session, assignment.name, CanonicalValue(session, assignment));
  Complete(context, forwarder);
  co_return Result<>();
}

std::string SetVariable::ToString() const {
  std::string text = "SetVariable(";
  for (const Assignment& each : assignments_) text += fmt::format("{}={};", each.name, each.value);
  return text + ")";
}

Awaitable<Result<>> ResetVariable::Execute(PlanContext& context) const {
  Session& session = context.session;
  const std::string* at_startup = session.settings().startup()->Find(name_);
  if (!session.pinned()) {
    std::string ignored;
    auto probed = co_await Probe(context, name_, nullptr, ignored);
    if (!probed) co_return probed;
    session.reported().Reset(name_);
  } else if (at_startup != nullptr) {
    RowReader row(session);
    std::string sql =
        fmt::format("SELECT pg_catalog.set_config({}, {}, false)", SqlLiteral(name_), SqlLiteral(*at_startup));
    auto ran = co_await RunInternally(context, sql, row);
    if (!ran) co_return ran;
  } else {
    PlanContext inner = context;
    inner.columns = ColumnsWanted::kNone;
    ResultForwarder forwarder(inner);
    auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
    if (!ran) co_return ran;
  }
  session.settings().Reset(name_);
  CompleteWithoutRows(context, tag_);
  co_return Result<>();
}

Awaitable<Result<>> ResetAll::Execute(PlanContext& context) const {
  Session& session = context.session;
  if (session.pinned()) {
    RowReader sink(session);
    auto ran = co_await RunInternally(context, "RESET ALL", sink);
    if (!ran) co_return ran;
    const auto& startup = session.settings().startup()->entries();
    if (!startup.empty()) {
      // To a backend the startup packet's settings are nothing special: they are set anew.
      std::string sql = "SELECT ";
      for (const auto& [name, value] : startup) {
        if (sql.size() > 7) sql += ", ";
        sql += fmt::format("pg_catalog.set_config({}, {}, false)", SqlLiteral(name), SqlLiteral(value));
      }
      RowReader row(session);
      auto restored = co_await RunInternally(context, sql, row);
      if (!restored) co_return restored;
    }
  } else {
    session.reported().ResetAll();
  }
  session.settings().ResetAll();
  CompleteWithoutRows(context, "RESET");
  co_return Result<>();
}

Awaitable<Result<>> SetGatewayVariable::Execute(PlanContext& context) const {
  session::GatewayVariables& variables = context.session.settings().mutable_variables();
  if (!value_) {
    variables.Reset(variable_);
  } else {
    auto milliseconds = session::ParseMilliseconds(variable_, *value_);
    if (!milliseconds) co_return std::unexpected(std::move(milliseconds.error()));
    if (!local_) {
      variables.Set(variable_, *milliseconds);
    } else if (context.session.transaction().idle()) {
      context.sink.Notice(Warning("25P01", "SET LOCAL can only be used in transaction blocks"));
    } else {
      variables.SetLocal(variable_, *milliseconds);
    }
  }
  CompleteWithoutRows(context, tag_);
  co_return Result<>();
}

std::string SetGatewayVariable::ToString() const {
  return fmt::format("SetGatewayVariable({}{}={})", local_ ? "local " : "", session::GatewayVariableName(variable_),
                     value_.value_or("default"));
}

Awaitable<Result<>> ShowGatewayVariable::Execute(PlanContext& context) const {
  std::int32_t value = context.session.settings().variables().Get(variable_);
  SendTextRow(context, std::string(session::GatewayVariableName(variable_)), session::FormatMilliseconds(value));
  context.sink.CommandComplete("SHOW");
  co_return Result<>();
}

bool ShowGatewayVariable::DescribeColumns(::query::StatementDescription& description) const {
  description.set_has_fields(true);
  ::query::Field& field = *description.add_fields();
  field.set_name(std::string(session::GatewayVariableName(variable_)));
  field.set_data_type_oid(kTextOid);
  field.set_data_type_size(-1);
  field.set_type_modifier(-1);
  return true;
}

std::string ShowGatewayVariable::ToString() const {
  return fmt::format("ShowGatewayVariable({})", session::GatewayVariableName(variable_));
}

}  // namespace multigres::gateway::engine
