#include "services/multigateway/planner/planner.h"

#include <fmt/format.h>

#include "services/multigateway/engine/copy.h"
#include "services/multigateway/engine/discard.h"
#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/engine/prepared.h"
#include "services/multigateway/engine/route.h"
#include "services/multigateway/engine/set_variable.h"
#include "services/multigateway/engine/transaction_control.h"
#include "services/multigateway/engine/warning.h"
#include "services/multigateway/planner/rejection.h"
#include "services/multigateway/session/reservation.h"

namespace multigres::gateway::planner {
namespace {

using engine::Pinning;
using engine::Plan;
using engine::PlanPtr;
using engine::PlanTraits;
using sqlparse::Statement;
using Kind = sqlparse::StatementKind;

constexpr PlanTraits kForwarded{.backend_describes = true, .plain = true};

template <class P, class... Args>
PlanPtr Make(PlanTraits traits, Pinning pinning, Args&&... args) {
  return std::make_shared<const Plan>(std::make_unique<const P>(std::forward<Args>(args)...), traits,
                                      std::move(pinning));
}

PlanPtr Reject(Error error) {
  return Make<engine::Reject>({}, {}, std::move(error));
}

Pinning PinningOf(const Statement& statement) {
  namespace r = session::reason;
  Pinning pinning;
  if (statement.effects & sqlparse::kCreatesTemp) pinning.reasons |= r::kTempTable;
  if (statement.effects & sqlparse::kTakesAdvisoryLock) pinning.reasons |= r::kAdvisoryLock;
  if (statement.effects & sqlparse::kSetsSeed) pinning.reasons |= r::kSetSeed;
  if (statement.effects & sqlparse::kCreatesLogicalSlot) pinning.reasons |= r::kLogicalReplication;
  pinning.recheck_advisory_locks =
      (statement.effects & (sqlparse::kTakesAdvisoryLock | sqlparse::kReleasesAdvisoryLock)) != 0;
  if (statement.effects & sqlparse::kOpensHoldCursor) {
    pinning.reasons |= r::kPortal;
    pinning.pin_portals.push_back(statement.name);
  }
  return pinning;
}

engine::RouteOptions RouteOptionsOf(const Statement& statement) {
  engine::RouteOptions options;
  constexpr const char* kUnloggedHint = "See docs/query_serving/unlogged_tables.md.";
  if (statement.effects & sqlparse::kCreatesUnloggedTable) {
    options.warnings.push_back(
        engine::Warning("01000", "unlogged table data is not replicated and is lost on failover", kUnloggedHint));
  }
  if (statement.effects & sqlparse::kCreatesUnloggedSequence) {
    options.warnings.push_back(
        engine::Warning("01000", "unlogged sequence is reset to its start value on failover", kUnloggedHint));
  }
  if (statement.effects & sqlparse::kCreatesLoginTrigger) {
    options.warnings.push_back(engine::Warning(
        "01000", "login event triggers fire when pooled backend connections are created, not when clients connect",
        "Do in such a trigger only what may happen once for many clients."));
  }
  return options;
}

PlanPtr PlanSet(const Statement& statement) {
  auto variable = session::FindGatewayVariable(statement.name);
  if (variable) {
    return Make<engine::SetGatewayVariable>({}, {}, *variable, statement.value, statement.is_local, "SET");
  }
  // The transaction's own affair: nothing to remember.
  if (statement.is_local) return Make<engine::Route>(kForwarded, PinningOf(statement));
  if (statement.effects & sqlparse::kSetsSeed) return Make<engine::Route>(kForwarded, PinningOf(statement));
  return Make<engine::SetVariable>({}, PinningOf(statement),
                                   std::vector<sqlparse::Assignment>{{statement.name, statement.value}});
}

PlanPtr PlanReset(const Statement& statement) {
  std::string tag = statement.to_default ? "SET" : "RESET";
  auto variable = session::FindGatewayVariable(statement.name);
  if (variable) {
    return Make<engine::SetGatewayVariable>({}, {}, *variable, std::nullopt, statement.is_local, std::move(tag));
  }
  if (statement.is_local) return Make<engine::Route>(kForwarded, {});
  return Make<engine::ResetVariable>({}, {}, statement.name, std::move(tag));
}

PlanPtr PlanPrepare(const Statement& statement, std::string_view source) {
  if (!statement.body) return Reject(Error(Code::kInternal, "the body of PREPARE wasn't found"));
  PlanPtr body = MakePlan(*statement.body, source);
  const auto* rejected = dynamic_cast<const engine::Reject*>(&body->primitive());
  if (rejected != nullptr) return body;
  if (!body->traits().plain) {
    return Reject(Error(Code::kUnimplemented, "0A000",
                        "PREPARE of this statement is not supported through the connection pooler"));
  }
  std::vector<Statement::TypeName> types = statement.type_names;
  for (Statement::TypeName& type : types) type.begin -= statement.begin;
  return Make<engine::Prepare>({}, {}, statement.name, std::string(statement.body->Text(source)),
                               statement.body->begin - statement.begin, std::move(types), std::move(body));
}

PlanPtr PlanExecute(const Statement& statement) {
  if (statement.executes_end == 0) return Reject(Error(Code::kInternal, "the name of EXECUTE wasn't found"));
  return Make<engine::ExecutePrepared>({}, PinningOf(statement), statement.executes,
                                       statement.executes_begin - statement.begin,
                                       statement.executes_end - statement.begin, statement.kind == Kind::kExecute);
}

PlanPtr PlanSelect(const Statement& statement) {
  if (!statement.set_config.empty()) {
    std::vector<sqlparse::SetConfigCall> calls = statement.set_config;
    for (sqlparse::SetConfigCall& call : calls) {
      call.flag_begin -= statement.begin;
      call.flag_end -= statement.begin;
    }
    return Make<engine::SetConfigSelect>({.backend_describes = true}, PinningOf(statement), std::move(calls));
  }
  PlanTraits traits = kForwarded;
  bool creates = (statement.effects & (sqlparse::kCreatesTemp | sqlparse::kCreatesUnloggedTable)) != 0;
  traits.cacheable = statement.parsed && !statement.has_set_config && !creates;
  return Make<engine::Route>(traits, PinningOf(statement), RouteOptionsOf(statement));
}

PlanPtr PlanTransactionControl(const Statement& statement) {
  using engine::Conclusion;
  using engine::SavepointAction;
  switch (statement.kind) {
    case Kind::kBegin: {
      engine::BeginOptions options{.start_transaction = statement.start_transaction,
                                   .sets_isolation_or_deferrable = statement.sets_isolation_or_deferrable,
                                   .read_only = statement.read_only};
      return Make<engine::Begin>({}, {}, options);
    }
    case Kind::kCommit:
      return Make<engine::EndTransaction>({.allowed_in_failed = true}, {}, Conclusion::kCommit, statement.chain);
    case Kind::kRollback:
      return Make<engine::EndTransaction>({.allowed_in_failed = true}, {}, Conclusion::kRollback, statement.chain);
    case Kind::kSavepoint:
      return Make<engine::SavepointControl>({}, {}, SavepointAction::kSavepoint, statement.name);
    case Kind::kReleaseSavepoint:
      return Make<engine::SavepointControl>({}, {}, SavepointAction::kRelease, statement.name);
    case Kind::kRollbackToSavepoint:
      return Make<engine::SavepointControl>({.allowed_in_failed = true}, {}, SavepointAction::kRollbackTo,
                                            statement.name);
    default:
      return Make<engine::PrepareTransaction>({.allowed_in_failed = true}, {.prepares_transaction = true});
  }
}

PlanPtr PlanSessionStatement(const Statement& statement, std::string_view source) {
  switch (statement.kind) {
    case Kind::kSet:
      return PlanSet(statement);
    case Kind::kSetFromCurrent:
      return Reject(RejectionOf({sqlparse::HazardKind::kSetFromCurrent, statement.name}));
    case Kind::kSetCharacteristics:
      return Make<engine::SetVariable>({}, {}, statement.settings);
    case Kind::kReset:
      return PlanReset(statement);
    case Kind::kResetAll:
      return Make<engine::ResetAll>({}, {});
    case Kind::kShow: {
      auto variable = session::FindGatewayVariable(statement.name);
      if (variable) return Make<engine::ShowGatewayVariable>({}, {}, *variable);
      return Make<engine::Route>(kForwarded, {});
    }
    case Kind::kPrepare:
      return PlanPrepare(statement, source);
    case Kind::kDeallocate:
      return Make<engine::Deallocate>({}, {}, statement.name);
    case Kind::kDeallocateAll:
      return Make<engine::Deallocate>({}, {}, "");
    case Kind::kDiscardAll:
      return Make<engine::DiscardAll>({}, {});
    case Kind::kDiscardTemp:
      return Make<engine::DiscardTemp>({}, {});
    case Kind::kListen:
      return Reject(Error(Code::kUnimplemented, "0A000", "LISTEN is not supported through the connection pooler"));
    case Kind::kUnlisten:
      // Nothing is listened to, so nothing is to be undone.
      return Make<engine::FixedTag>({}, {}, "UNLISTEN");
    default:
      return nullptr;
  }
}

}  // namespace

PlanPtr MakePlan(const Statement& statement, std::string_view source) {
  if (statement.syntax_error) {
    PgDiagnostic diagnostic{.severity = "ERROR",
                            .code = statement.syntax_error->sqlstate,
                            .message = statement.syntax_error->message,
                            .position = statement.syntax_error->position};
    return Reject(Error::FromDiagnostic(std::move(diagnostic), Code::kInvalidArgument));
  }
  if (!statement.hazards.empty()) return Reject(RejectionOf(statement.hazards.front()));
  if (PlanPtr plan = PlanSessionStatement(statement, source)) return plan;
  if (!statement.executes.empty()) return PlanExecute(statement);

  switch (statement.kind) {
    case Kind::kSelect:
    case Kind::kInsert:
    case Kind::kUpdate:
    case Kind::kDelete:
    case Kind::kMerge:
      return PlanSelect(statement);
    case Kind::kBegin:
    case Kind::kCommit:
    case Kind::kRollback:
    case Kind::kSavepoint:
    case Kind::kReleaseSavepoint:
    case Kind::kRollbackToSavepoint:
    case Kind::kPrepareTransaction:
      return PlanTransactionControl(statement);
    case Kind::kCopyFromStdin:
      return Make<engine::CopyFromStdin>({}, {});
    case Kind::kCopyToStdout:
      return Make<engine::CopyToStdout>({}, {});
    case Kind::kDeclareCursor:
      if (statement.effects & sqlparse::kOpensHoldCursor) {
        return Make<engine::DeclareHoldCursor>(kForwarded, PinningOf(statement), statement.name);
      }
      return Make<engine::Route>(kForwarded, PinningOf(statement));
    case Kind::kClose:
      return Make<engine::CloseCursor>(kForwarded, {}, statement.name);
    case Kind::kCloseAll:
      return Make<engine::CloseCursor>(kForwarded, {}, "");
    default:
      return Make<engine::Route>(kForwarded, PinningOf(statement), RouteOptionsOf(statement));
  }
}

}  // namespace multigres::gateway::planner
