// The extended protocol's messages.
#include <fmt/format.h>

#include "common/sqlparse/parser.h"
#include "query.pb.h"
#include "services/multigateway/engine/error_rewrite.h"
#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/engine/prepared.h"
#include "services/multigateway/engine/transaction_control.h"
#include "services/multigateway/executor/executor.h"

namespace multigres::gateway::executor {

using engine::ClientSink;
using engine::ColumnsWanted;
using engine::Conclusion;
using engine::PlanPtr;
using session::Portal;
using session::StatementSource;
using session::StatementSourcePtr;

namespace {

// Parse, Bind and Describe in a failed transaction: only for what may end it, and for nothing at all.
Result<> CheckTransaction(const Session& session, const engine::Plan* plan) {
  if (!session.transaction().failed() || plan == nullptr || plan->traits().allowed_in_failed) return {};
  return Fail(Code::kFailedPrecondition, "25P02",
              "current transaction is aborted, commands ignored until end of transaction block");
}

template <class T>
Result<T> Failing(Session& session, Result<T> result) {
  if (!result) session.transaction().Fail();
  return result;
}

}  // namespace

Result<PlanPtr> Executor::PlanForParse(const Session& session, std::string_view sql) {
  PlanPtr plan = CachedPlan(session, sql);
  if (plan != nullptr) return plan;
  sqlparse::ParsedQuery query = sqlparse::Parse(sql, {session.standard_conforming_strings()});
  if (query.statements.empty()) return nullptr;
  if (query.statements.size() > 1) {
    return Fail(Code::kInvalidArgument, "42601", "cannot insert multiple commands into a prepared statement");
  }
  return PlanSingle(query.statements.front(), sql);
}

Result<> Executor::Parse(Session& session, const pgwire::ParseMessage& message) {
  return Failing(session, TryParse(session, message));
}

Result<> Executor::TryParse(Session& session, const pgwire::ParseMessage& message) {
  auto plan = PlanForParse(session, message.query);
  if (!plan) return std::unexpected(std::move(plan.error()));
  auto allowed = CheckTransaction(session, plan->get());
  if (!allowed) return allowed;
  if (*plan != nullptr) {
    if (const auto* rejected = dynamic_cast<const engine::Reject*>(&(*plan)->primitive())) {
      return std::unexpected(rejected->error());
    }
  }
  auto source = std::make_shared<StatementSource>();
  if (*plan != nullptr) source->query = message.query;
  for (std::size_t i = 0; i < message.parameter_oids.size(); i++) {
    source->param_types.push_back(message.parameter_oids[i]);
  }
  // What no backend is asked about is as good as it will ever be.
  bool validated = *plan == nullptr || !(*plan)->traits().backend_describes;
  source->plan = std::move(*plan);
  return session.statements().Add(std::string(message.name), {std::move(source), false, validated});
}

Result<> Executor::Bind(Session& session, const pgwire::BindMessage& message) {
  return Failing(session, TryBind(session, message));
}

Result<> Executor::TryBind(Session& session, const pgwire::BindMessage& message) {
  auto statement = session.statements().Get(message.statement);
  if (!statement) return std::unexpected(std::move(statement.error()));
  StatementSourcePtr source = (*statement)->source;
  auto allowed = CheckTransaction(session, source->plan.get());
  if (!allowed) return allowed;
  bool takes_none = source->plan == nullptr || !source->plan->traits().backend_describes;
  if (takes_none && !message.parameters.empty()) {
    return Fail(Code::kInvalidArgument, "08P01",
                fmt::format("bind message supplies {} parameters, but prepared statement \"{}\" requires 0",
                            message.parameters.size(), message.statement));
  }
  if (message.portal.empty()) {
    Portal* replaced = session.portals().Find("");
    if (replaced != nullptr && replaced->state == Portal::State::kSuspended) {
      session.portals_to_release().emplace_back();
    }
  }
  auto bound = session.portals().Bind(std::move(source), message);
  if (!bound) return std::unexpected(std::move(bound.error()));
  return {};
}

Awaitable<Result<Description>> Executor::DescribeStatement(Session& session, std::string_view name,
                                                           CancelToken& cancel) {
  auto statement = session.statements().Get(name);
  if (!statement) co_return Failing(session, Result<Description>(std::unexpected(std::move(statement.error()))));
  StatementSourcePtr source = (*statement)->source;
  auto described = co_await DescribeSource(session, source, nullptr, cancel);
  if (!described) co_return Failing(session, std::move(described));
  // The session may have changed meanwhile; a statement of that name need not be this one.
  session::PreparedStatement* now = session.statements().Find(name);
  if (now != nullptr && now->source == source) now->validated = true;
  co_return described;
}

Awaitable<Result<Description>> Executor::DescribePortal(Session& session, std::string_view name, CancelToken& cancel) {
  auto portal = session.portals().Get(name);
  if (!portal) co_return Failing(session, Result<Description>(std::unexpected(std::move(portal.error()))));
  auto described = co_await DescribeSource(session, (*portal)->source, *portal, cancel);
  if (described) described->param_types.clear();
  co_return Failing(session, std::move(described));
}

Awaitable<Result<Description>> Executor::DescribeSource(Session& session, StatementSourcePtr source,
                                                        const Portal* portal, CancelToken& cancel) {
  Description description;
  if (source->plan == nullptr) co_return description;
  auto allowed = CheckTransaction(session, source->plan.get());
  if (!allowed) co_return std::unexpected(std::move(allowed.error()));
  const engine::Primitive& primitive = source->plan->primitive();
  if (const auto* execute = dynamic_cast<const engine::ExecutePrepared*>(&primitive)) {
    if (!execute->returns_rows_of_statement()) {
      co_return Fail(Code::kUnimplemented, "0A000", "describing this form of EXECUTE is not supported");
    }
    auto target = session.statements().Get(execute->name());
    if (!target) co_return std::unexpected(std::move(target.error()));
    auto described = co_await DescribeSource(session, (*target)->source, nullptr, cancel);
    if (described) described->param_types.clear();
    co_return described;
  }
  auto rows = std::make_unique<::query::StatementDescription>();
  if (primitive.DescribeColumns(*rows)) {
    description.rows = std::move(rows);
    co_return description;
  }
  if (!source->plan->traits().backend_describes) co_return description;
  auto described = co_await execute_.Describe(session, *source, portal, ScopeFor(session, cancel));
  if (!described) {
    std::string_view name = portal == nullptr ? std::string_view() : portal->statement_name;
    co_return std::unexpected(engine::WithClientsName(std::move(described.error()), name));
  }
  for (const auto& parameter : (*described)->parameters()) {
    description.param_types.push_back(parameter.data_type_oid());
  }
  if ((*described)->has_fields()) description.rows = std::move(*described);
  co_return description;
}

Awaitable<Result<>> Executor::PortalStreamExecute(Session& session, std::string_view name, std::uint64_t max_rows,
                                                  bool include_describe, Following following, CancelToken& cancel,
                                                  ClientSink& sink) {
  auto found = session.portals().Get(name);
  if (!found) co_return Failing(session, Result<>(std::unexpected(std::move(found.error()))));
  Portal& portal = **found;
  if (portal.source->plan == nullptr) {
    if (include_describe) sink.NoData();
    sink.EmptyQuery();
    co_return Result<>();
  }
  if (portal.state == Portal::State::kDone) {
    session.transaction().Fail();
    co_return Fail(Code::kFailedPrecondition, "55000", fmt::format("portal \"{}\" cannot be run", name));
  }
  // Alone before its Sync it commits by itself; with others, or to be continued, it is a part of what Sync commits.
  bool alone = following == Following::kSync && max_rows == 0;
  if (session.transaction().idle() && !alone) session.BeginTransaction("BEGIN", true);

  // The plan may end the transaction and with it the portal: what it needs stays alive here.
  Portal running(portal.source, portal.statement_name, std::move(portal.bound));
  running.state = portal.state;
  portal.bound = nullptr;
  std::string own_name(name);
  StatementSourcePtr source = running.source;
  Run run{.sql = source->query,
          .portal = &running,
          .max_rows = max_rows,
          .columns = include_describe ? ColumnsWanted::kDescribeResponse : ColumnsWanted::kNone};
  auto ran = co_await RunPlan(session, source->plan, run, cancel, sink);
  if (!ran) {
    ran = std::unexpected(engine::WithClientsName(std::move(ran.error()), running.statement_name));
  } else {
    session::PreparedStatement* statement = session.statements().Find(running.statement_name);
    if (statement != nullptr && statement->source == source) statement->validated = true;
  }
  if (Portal* still = session.portals().Find(own_name)) {
    still->state = running.state;
    still->bound = std::move(running.bound);
  }
  co_return ran;
}

Awaitable<Result<>> Executor::CloseStatement(Session& session, std::string_view name) {
  session.statements().Remove(name);
  co_return Result<>();
}

Awaitable<Result<>> Executor::ClosePortal(Session& session, std::string_view name, CancelToken& /*cancel*/) {
  Portal* portal = session.portals().Find(name);
  if (portal == nullptr) co_return Result<>();
  bool suspended = portal->state == Portal::State::kSuspended;
  if (suspended) session.portals_to_release().emplace_back(name);
  session.portals().Remove(name);
  if (suspended) co_await ReleaseIdlePortals(session);
  co_return Result<>();
}

Awaitable<void> Executor::ReleaseIdlePortals(Session& session) {
  if (!session.reservation().held() || !HoldsForPortalsAlone(session)) co_return;
  auto released = co_await execute_.ReleaseReservedConnection(session, true, CleanUpScope());
  static_cast<void>(released);
}

Awaitable<Result<>> Executor::Sync(Session& session, CancelToken& cancel, ClientSink& sink) {
  Result<> committed;
  if (session.transaction().implicit()) {
    if (session.transaction().failed()) {
      co_await RollBackImplicit(session, sink);
    } else {
      committed =
          co_await engine::ConcludeImplicit(execute_, session, Conclusion::kCommit, ScopeFor(session, cancel), sink);
    }
  }
  if (session.transaction().idle() && !session.portals().empty()) {
    for (std::string& name : session.portals().Suspended()) session.portals_to_release().push_back(std::move(name));
    session.portals().Clear();
  }
  if (HoldsForPortalsAlone(session)) co_await ReleaseIdlePortals(session);
  co_return committed;
}

}  // namespace multigres::gateway::executor
