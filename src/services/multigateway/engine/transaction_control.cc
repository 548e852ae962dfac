#include "services/multigateway/engine/transaction_control.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/mterrors/diagnostic_proto.h"
#include "query.pb.h"
#include "services/multigateway/engine/fixed.h"
#include "services/multigateway/engine/route.h"
#include "services/multigateway/engine/warning.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {
namespace {

using session::Session;
namespace reason = session::reason;

// Discards what a statement of the gateway's own returns, except what the client must hear of.
class NoticesOnly final : public queryservice::ResultSink {
 public:
  explicit NoticesOnly(ClientSink& client) : client_(client) {}
  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override {
    if (payload.has_diagnostic()) client_.Notice(mterrors::FromProto(payload.diagnostic()));
    co_return Result<>();
  }

 private:
  ClientSink& client_;
};

Error OnlyInBlocks(std::string_view what) {
  return Error(Code::kFailedPrecondition, "25P01", fmt::format("{} can only be used in transaction blocks", what));
}

// Takes over what a conclusion reports, after the session's own state has been rolled back or committed.
void Report(Session& session, const ::query::QueryResult& result, ClientSink& client) {
  for (const auto& notice : result.notices()) client.Notice(mterrors::FromProto(notice));
  for (const auto& [name, value] : result.parameter_status()) session.reported().Observe(name, value);
}

void Finish(Session& session, Conclusion outcome) {
  if (outcome == Conclusion::kCommit) {
    session.CommitTransaction();
  } else {
    session.RollbackTransaction();
  }
}

}  // namespace

Awaitable<Result<>> Begin::Execute(PlanContext& context) const {
  Session& session = context.session;
  session::Transaction& transaction = session.transaction();
  if (transaction.implicit()) {
    auto adopted = co_await Adopt(context);
    if (!adopted) co_return adopted;
  } else if (transaction.idle()) {
    session.BeginTransaction(std::string(context.sql), false);
  } else if (options_.sets_isolation_or_deferrable || options_.read_only) {
    // PostgreSQL warns and applies the options all the same.
    ResultForwarder forwarder(context);
    auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
    if (!ran) co_return ran;
  } else {
    context.sink.Notice(Warning("25001", "there is already a transaction in progress"));
  }
  CompleteWithoutRows(context, Tag());
  co_return Result<>();
}

Awaitable<Result<>> Begin::Adopt(PlanContext& context) const {
  Session& session = context.session;
  if (!session.transaction().begin_unsent()) {
    if (options_.sets_isolation_or_deferrable) {
      co_return Fail(Code::kFailedPrecondition, "25001",
                     "SET TRANSACTION ISOLATION LEVEL must be called before any query");
    }
    if (options_.read_only) {
      NoticesOnly sink(context.sink);
      auto set = co_await RunInternally(
          context, *options_.read_only ? "SET TRANSACTION READ ONLY" : "SET TRANSACTION READ WRITE", sink);
      if (!set) co_return set;
    }
  }
  session.transaction().Adopt(std::string(context.sql));
  co_return Result<>();
}

Awaitable<Result<>> EndTransaction::Execute(PlanContext& context) const {
  Session& session = context.session;
  session::Transaction& transaction = session.transaction();
  if (transaction.idle()) co_return co_await OutsideABlock(context);
  if (transaction.implicit()) {
    if (chain_) co_return std::unexpected(OnlyInBlocks(fmt::format("{} AND CHAIN", Verb())));
    context.sink.Notice(Warning("25P01", "there is no transaction in progress"));
  }
  if (session.reservation().Has(reason::kTransaction)) co_return co_await OnBackend(context);

  // No backend has it: because none was needed yet, or because it is lost.
  bool failed = transaction.failed();
  bool begun = !transaction.begin_unsent();
  std::string begin_text = transaction.begin_text();
  Finish(session, failed ? Conclusion::kRollback : conclusion_);
  if (chain_) {
    if (begun) {
      co_return Fail(Code::kAborted, "40001", "reserved connection terminated; please retry");
    }
    session.BeginTransaction(std::move(begin_text), false);
  }
  CompleteWithoutRows(context, failed ? "ROLLBACK" : Verb());
  co_return Result<>();
}

Awaitable<Result<>> EndTransaction::OutsideABlock(PlanContext& context) const {
  if (chain_) co_return std::unexpected(OnlyInBlocks(fmt::format("{} AND CHAIN", Verb())));
  context.sink.Notice(Warning("25P01", "there is no transaction in progress"));
  CompleteWithoutRows(context, Verb());
  co_return Result<>();
}

Awaitable<Result<>> EndTransaction::OnBackend(PlanContext& context) const {
  Session& session = context.session;
  auto concluded = co_await context.execute.ConcludeTransaction(session, conclusion_, chain_, context.scope);
  if (!concluded) {
    session.RollbackTransaction();
    co_return std::unexpected(std::move(concluded.error()));
  }
  std::string tag = *concluded ? (*concluded)->command_tag() : "ROLLBACK";
  if (tag.empty()) tag = Verb();
  Finish(session, tag == "COMMIT" ? Conclusion::kCommit : Conclusion::kRollback);
  if (*concluded) Report(session, **concluded, context.sink);
  if (chain_ && session.reservation().Has(reason::kTransaction)) {
    session.BeginTransaction("BEGIN", false);
    session.transaction().BeginSent();
  }
  CompleteWithoutRows(context, tag);
  co_return Result<>();
}

std::string EndTransaction::ToString() const {
  return fmt::format("{}{}", Verb(), chain_ ? " AND CHAIN" : "");
}

std::string_view SavepointControl::Verb() const {
  switch (action_) {
    case SavepointAction::kSavepoint:
      return "SAVEPOINT";
    case SavepointAction::kRelease:
      return "RELEASE SAVEPOINT";
    case SavepointAction::kRollbackTo:
      return "ROLLBACK TO SAVEPOINT";
  }
  return "";
}

std::string SavepointControl::ToString() const {
  return fmt::format("{} {}", Verb(), name_);
}

Awaitable<Result<>> SavepointControl::Execute(PlanContext& context) const {
  Session& session = context.session;
  session::Transaction& transaction = session.transaction();
  if (transaction.idle() || transaction.implicit()) co_return std::unexpected(OnlyInBlocks(Verb()));
  if (transaction.failed() && !session.reservation().Has(reason::kTransaction)) {
    co_return Fail(Code::kNotFound, "3B001", fmt::format("savepoint \"{}\" does not exist", name_));
  }
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
  if (!ran) co_return ran;
  session::SettingsStack& settings = session.settings();
  switch (action_) {
    case SavepointAction::kSavepoint:
      settings.Savepoint(name_);
      break;
    case SavepointAction::kRelease:
      settings.Release(name_);
      break;
    case SavepointAction::kRollbackTo: {
      std::vector<std::string> open = settings.hold_cursors();
      settings.RollbackTo(name_);
      transaction.Recover();
      for (std::string& cursor : open) {
        const auto& kept = settings.hold_cursors();
        if (std::ranges::find(kept, cursor) == kept.end()) session.portals_to_release().push_back(std::move(cursor));
      }
      break;
    }
  }
  Complete(context, forwarder);
  co_return Result<>();
}

Awaitable<Result<>> PrepareTransaction::Execute(PlanContext& context) const {
  Session& session = context.session;
  if (session.transaction().implicit()) co_return std::unexpected(OnlyInBlocks("PREPARE TRANSACTION"));
  if (session.transaction().idle()) {
    // PostgreSQL has a warning and a tag of its own for that.
    ResultForwarder outside(context);
    auto ran = co_await Forward(context, context.plan.pinning(), outside);
    if (ran) Complete(context, outside);
    co_return ran;
  }
  if (session.transaction().failed() && !session.reservation().Has(reason::kTransaction)) {
    session.RollbackTransaction();
    CompleteWithoutRows(context, "ROLLBACK");
    co_return Result<>();
  }
  ResultForwarder forwarder(context);
  auto ran = co_await Forward(context, context.plan.pinning(), forwarder);
  if (session.reservation().Has(reason::kTransaction)) {
    // PostgreSQL has ended it; if it didn't, this does.
    auto ended = co_await context.execute.ConcludeTransaction(session, Conclusion::kRollback, false, context.scope);
    if (!ended && ran) ran = std::unexpected(std::move(ended.error()));
  }
  Finish(session, ran && forwarder.tag() == "PREPARE TRANSACTION" ? Conclusion::kCommit : Conclusion::kRollback);
  if (!ran) co_return ran;
  Complete(context, forwarder);
  co_return Result<>();
}

Awaitable<Result<>> ConcludeImplicit(IExecute& execute, Session& session, Conclusion conclusion, CallScope scope,
                                     ClientSink& client) {
  if (!session.reservation().Has(reason::kTransaction)) {
    bool lost = !session.transaction().begin_unsent() && conclusion == Conclusion::kCommit;
    Finish(session, lost ? Conclusion::kRollback : conclusion);
    if (lost) co_return Fail(Code::kAborted, "40001", "reserved connection terminated; please retry");
    co_return Result<>();
  }
  auto concluded = co_await execute.ConcludeTransaction(session, conclusion, false, scope);
  if (!concluded) {
    session.RollbackTransaction();
    co_return std::unexpected(std::move(concluded.error()));
  }
  bool committed = *concluded && (*concluded)->command_tag() == "COMMIT";
  Finish(session, committed ? Conclusion::kCommit : Conclusion::kRollback);
  if (*concluded) Report(session, **concluded, client);
  co_return Result<>();
}

}  // namespace multigres::gateway::engine
