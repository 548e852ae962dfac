#include "services/multigateway/engine/prepared.h"

#include <fmt/format.h>

#include <charconv>

#include "query.pb.h"
#include "services/multigateway/engine/error_rewrite.h"
#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/engine/route.h"
#include "services/multigateway/engine/sql_literal.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {

using session::StatementSource;

Awaitable<Result<>> Prepare::Execute(PlanContext& context) const {
  session::Session& session = context.session;
  if (session.statements().Find(name_) != nullptr) {
    co_return Fail(Code::kAlreadyExists, "42P05", fmt::format("prepared statement \"{}\" already exists", name_));
  }
  auto types = co_await ResolveTypes(context);
  if (!types) co_return std::unexpected(std::move(types.error()));
  auto source = std::make_shared<StatementSource>(StatementSource{body_, std::move(*types), body_plan_});
  // PostgreSQL analyses the body now, so its errors show now.
  auto described = co_await context.execute.Describe(session, *source, nullptr, context.scope);
  if (!described) {
    std::string_view before = context.sql.substr(0, std::min(body_offset_, context.sql.size()));
    co_return std::unexpected(ShiftPosition(std::move(described.error()), before));
  }
  auto added = session.statements().Add(name_, {std::move(source), true, true});
  if (!added) co_return added;
  CompleteWithoutRows(context, "PREPARE");
  co_return Result<>();
}

Awaitable<Result<std::vector<std::uint32_t>>> Prepare::ResolveTypes(PlanContext& context) const {
  std::vector<std::uint32_t> oids;
  if (type_names_.empty()) co_return oids;
  std::string sql = "SELECT ";
  std::vector<std::size_t> literals;  // where each begins in it
  for (const auto& type : type_names_) {
    if (!literals.empty()) sql += ", ";
    literals.push_back(sql.size());
    sql += fmt::format("{}::pg_catalog.regtype::pg_catalog.oid", SqlLiteral(type.name));
  }
  RowReader row(context.session);
  auto ran = co_await RunInternally(context, sql, row);
  if (!ran) {
    std::int32_t position = ran.error().diagnostic() ? ran.error().diagnostic()->position : 0;
    std::size_t failed = 0;
    while (failed + 1 < literals.size() && static_cast<std::int32_t>(literals[failed + 1]) < position) failed++;
    std::string_view before = context.sql.substr(0, std::min(type_names_[failed].begin, context.sql.size()));
    co_return std::unexpected(ShiftPosition(AtPosition(std::move(ran.error()), 1), before));
  }
  for (const auto& column : row.columns()) {
    std::uint32_t oid = 0;
    if (column) std::from_chars(column->data(), column->data() + column->size(), oid);
    oids.push_back(oid);
  }
  if (oids.size() != type_names_.size()) co_return Fail(Code::kInternal, "the types of a statement weren't resolved");
  co_return oids;
}

std::string Prepare::ToString() const {
  std::string types;
  for (const auto& type : type_names_) types += (types.empty() ? " " : ",") + type.name;
  return fmt::format("Prepare({}{}: {})", name_, types, body_plan_->ToString());
}

Awaitable<Result<>> ExecutePrepared::Execute(PlanContext& context) const {
  auto found = context.session.statements().Get(name_);
  if (!found) co_return std::unexpected(std::move(found.error()));
  session::StatementSourcePtr source = (*found)->source;
  if (source->plan == nullptr || !source->plan->traits().plain) {
    co_return Fail(
        Code::kUnimplemented, "0A000",
        fmt::format("EXECUTE of prepared statement \"{}\" is not supported through the connection pooler", name_));
  }
  Pinning pinning = context.plan.pinning();
  const Pinning& inner = source->plan->pinning();
  pinning.reasons |= inner.reasons;
  pinning.recheck_advisory_locks = pinning.recheck_advisory_locks || inner.recheck_advisory_locks;
  PreparedWrapper wrapper{source.get(), context.sql.substr(0, name_begin_), context.sql.substr(name_end_)};
  ResultForwarder forwarder(context);
  StatementCall call{.pinning = pinning.empty() ? nullptr : &pinning, .wrapper = &wrapper};
  auto ran = co_await context.execute.StreamExecute(context.session, call, context.scope, forwarder);
  if (!ran) co_return std::unexpected(WithClientsName(std::move(ran.error()), name_));
  Complete(context, forwarder);
  co_return Result<>();
}

Awaitable<Result<>> Deallocate::Execute(PlanContext& context) const {
  session::PreparedStatements& statements = context.session.statements();
  if (name_.empty()) {
    statements.Clear();
    CompleteWithoutRows(context, "DEALLOCATE ALL");
    co_return Result<>();
  }
  auto found = statements.Get(name_);
  if (!found) co_return std::unexpected(std::move(found.error()));
  statements.Remove(name_);
  CompleteWithoutRows(context, "DEALLOCATE");
  co_return Result<>();
}

}  // namespace multigres::gateway::engine
