#include "services/multigateway/handler/handler.h"

#include <chrono>

#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/frontend.h"
#include "query.pb.h"

namespace multigres::gateway::handler {

Handler::Handler(listener::ClientConnection& client, executor::Executor& executor, session::Session& session,
                 Logger logger)
    : client_(client), executor_(executor), session_(session), logger_(std::move(logger)), sink_(client) {}

Awaitable<void> Handler::Run() {
  Ready();
  while (true) {
    if (aborting_ || (shutting_down_ && between_cycles_ && session_.transaction().idle())) {
      Fatal("57P01", "terminating connection due to administrator command");
      co_return;
    }
    auto frame = co_await ReadMessage();
    if (!frame) co_return;
    if (co_await HandleMessage(*frame) == Next::kClose) co_return;
  }
}

Awaitable<std::optional<pgwire::Frame>> Handler::ReadMessage() {
  ArmIdleTimeout();
  auto frame = co_await client_.ReadFrame();
  if (std::exchange(idle_timeout_armed_, false)) client_.SetReadDeadline(Deadline::Never());
  if (!frame) {
    Fatal(frame.error().sqlstate().empty() ? "08006" : frame.error().sqlstate(), frame.error().message());
    co_return std::nullopt;
  }
  if (*frame) co_return **frame;
  if (client_.timed_out()) {
    Fatal("57P05", "terminating connection due to idle-session timeout");
  } else if (shutting_down_) {
    Fatal("57P01", "terminating connection due to administrator command");
  }
  co_return std::nullopt;
}

// Only between message cycles and outside a transaction: never in the midst of a batch, nor while discarding.
void Handler::ArmIdleTimeout() {
  const auto timeout_ms = session_.idle_session_timeout_ms();
  if (timeout_ms == 0 || !between_cycles_ || discarding_ || !session_.transaction().idle()) return;
  idle_timeout_armed_ = true;
  client_.SetReadDeadline(client_.reactor().clock().After(std::chrono::milliseconds(timeout_ms)));
}

Awaitable<Handler::Next> Handler::HandleMessage(pgwire::Frame frame) {
  switch (frame.type) {
    case pgwire::kTerminate:
      co_return Next::kClose;
    case pgwire::kSync:
      if (!frame.body.empty()) {
        session_.transaction().Fail();
        const Error malformed(Code::kInvalidArgument, "08P01", "invalid Sync message");
        if (Report(malformed) == Next::kClose) co_return Next::kClose;
      }
      co_return co_await HandleSync();
    case pgwire::kQuery:
      co_return discarding_ ? Next::kGoOn : co_await HandleQuery(frame);
    case pgwire::kFunctionCall:
      co_return discarding_ ? Next::kGoOn : co_await HandleFunctionCall(frame);
    case pgwire::kCopyData:
    case pgwire::kCopyDone:
    case pgwire::kCopyFail:
      // Left over from a COPY that has failed: the client had sent them before it knew.
      co_return Next::kGoOn;
    default:
      break;
  }
  if (discarding_) co_return Next::kGoOn;
  switch (frame.type) {
    case pgwire::kParse:
      co_return co_await HandleParse(frame);
    case pgwire::kBind:
      co_return co_await HandleBind(frame);
    case pgwire::kDescribe:
      co_return co_await HandleDescribe(frame);
    case pgwire::kExecute:
      co_return co_await HandleExecute(frame, false);
    case pgwire::kClose:
      co_return co_await HandleClose(frame);
    case pgwire::kFlush:
      if (!frame.body.empty()) {
        co_return ReportAndDiscard(Error(Code::kInvalidArgument, "08P01", "invalid Flush message"));
      }
      client_.Flush();
      co_return Next::kGoOn;
    default:
      co_return Fatal("08P01", fmt::format("invalid frontend message type {}", static_cast<unsigned char>(frame.type)));
  }
}

CancelToken& Handler::BeginCycle() {
  between_cycles_ = false;
  cancel_.emplace();
  sink_.set_cancel(&*cancel_);
  return *cancel_;
}

void Handler::EndCycle() {
  sink_.set_cancel(nullptr);
  cancel_.reset();
}

void Handler::Stop(CancelReason reason) {
  if (cancel_) cancel_->Cancel(reason);
}

void Handler::Shutdown() {
  shutting_down_ = true;
  if (between_cycles_ && session_.transaction().idle()) client_.InterruptRead();
}

void Handler::Abort() {
  shutting_down_ = aborting_ = true;
  Stop(CancelReason::kShutdown);
  client_.InterruptRead();
}

Awaitable<Handler::Next> Handler::HandleQuery(pgwire::Frame frame) {
  auto sql = pgwire::ReadQuery(frame.body);
  if (!sql) {
    session_.transaction().Fail();
    if (Report(sql.error()) == Next::kClose) co_return Next::kClose;
    co_return co_await HandleSync();
  }
  // The buffer that the text is in moves when a COPY reads on from it.
  const std::string text(*sql);
  auto result = co_await executor_.StreamExecute(session_, text, BeginCycle(), sink_);
  EndCycle();
  if (!result && Report(result.error()) == Next::kClose) co_return Next::kClose;
  if (client_.broken()) co_return Next::kClose;
  // What came before it without a Sync ends with it.
  if (session_.transaction().implicit()) co_return co_await HandleSync();
  Ready();
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleParse(pgwire::Frame frame) {
  between_cycles_ = false;
  auto message = pgwire::ReadParse(frame.body);
  if (!message) co_return ReportAndDiscard(message.error());
  auto parsed = executor_.Parse(session_, *message);
  if (!parsed) co_return ReportAndDiscard(parsed.error());
  pgwire::WriteParseComplete(client_.out());
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleBind(pgwire::Frame frame) {
  between_cycles_ = false;
  auto message = pgwire::ReadBind(frame.body);
  if (!message) co_return ReportAndDiscard(message.error());
  auto bound = executor_.Bind(session_, *message);
  if (!bound) co_return ReportAndDiscard(bound.error());
  pgwire::WriteBindComplete(client_.out());
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleDescribe(pgwire::Frame frame) {
  between_cycles_ = false;
  auto message = pgwire::ReadDescribe(frame.body);
  if (!message) co_return ReportAndDiscard(message.error());
  const std::string name(message->name);
  if (message->kind == 'S') co_return co_await DescribeStatement(name);
  // Held back until the next message is here: an Execute of the same portal makes one trip of both.
  auto next = co_await client_.PeekNextType();
  if (!next) co_return ReportAndDiscard(next.error());
  if (*next == '\0') co_return Next::kClose;
  if (*next != pgwire::kExecute) co_return co_await DescribePortal(name);
  auto execute = co_await client_.ReadFrame();
  if (!execute) co_return Fatal("08P01", execute.error().message());
  if (!*execute) co_return Next::kClose;
  auto decoded = pgwire::ReadExecute((*execute)->body);
  const bool same = decoded && decoded->portal == name;
  if (same) co_return co_await HandleExecute(**execute, true);
  // The view is lost once the describe has waited.
  const std::string body((*execute)->body);
  if (co_await DescribePortal(name) == Next::kClose) co_return Next::kClose;
  if (discarding_) co_return Next::kGoOn;
  co_return co_await HandleExecute({pgwire::kExecute, body}, false);
}

Awaitable<Handler::Next> Handler::DescribeStatement(std::string name) {
  auto description = co_await executor_.DescribeStatement(session_, name, BeginCycle());
  EndCycle();
  if (!description) co_return ReportAndDiscard(description.error());
  WriteDescription(*description, true);
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::DescribePortal(std::string name) {
  auto description = co_await executor_.DescribePortal(session_, name, BeginCycle());
  EndCycle();
  if (!description) co_return ReportAndDiscard(description.error());
  WriteDescription(*description, false);
  co_return Next::kGoOn;
}

void Handler::WriteDescription(const executor::Description& description, bool with_parameters) {
  if (with_parameters) pgwire::WriteParameterDescription(client_.out(), description.param_types);
  if (description.rows != nullptr) {
    sink_.RowDescription(description.rows->fields());
  } else {
    sink_.NoData();
  }
}

Awaitable<Handler::Next> Handler::HandleExecute(pgwire::Frame frame, bool include_describe) {
  between_cycles_ = false;
  auto message = pgwire::ReadExecute(frame.body);
  if (!message) co_return ReportAndDiscard(message.error());
  const std::string portal(message->portal);
  const auto max_rows = static_cast<std::uint64_t>(std::max(0, message->max_rows));
  // What follows decides whether the statement can commit by itself.
  auto next = co_await client_.PeekNextType();
  if (!next) co_return ReportAndDiscard(next.error());
  if (*next == '\0') co_return Next::kClose;
  const auto following = *next == pgwire::kSync ? executor::Following::kSync : executor::Following::kOther;
  auto result = co_await executor_.PortalStreamExecute(session_, portal, max_rows, include_describe, following,
                                                       BeginCycle(), sink_);
  EndCycle();
  if (client_.broken()) co_return Next::kClose;
  if (!result) co_return ReportAndDiscard(result.error());
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleClose(pgwire::Frame frame) {
  between_cycles_ = false;
  auto message = pgwire::ReadClose(frame.body);
  if (!message) co_return ReportAndDiscard(message.error());
  const std::string name(message->name);
  Result<> closed;
  if (message->kind == 'S') {
    closed = co_await executor_.CloseStatement(session_, name);
  } else {
    closed = co_await executor_.ClosePortal(session_, name, BeginCycle());
    EndCycle();
  }
  if (!closed) co_return ReportAndDiscard(closed.error());
  pgwire::WriteCloseComplete(client_.out());
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleSync() {
  discarding_ = false;
  auto synced = co_await executor_.Sync(session_, BeginCycle(), sink_);
  EndCycle();
  if (client_.broken()) co_return Next::kClose;
  if (!synced && Report(synced.error()) == Next::kClose) co_return Next::kClose;
  Ready();
  co_return Next::kGoOn;
}

Awaitable<Handler::Next> Handler::HandleFunctionCall(pgwire::Frame frame) {
  auto message = pgwire::ReadFunctionCall(frame.body);
  const Error refused = message
                            ? Error(Code::kUnimplemented, "0A000", "fast-path function call protocol is not supported")
                            : std::move(message.error());
  session_.transaction().Fail();
  if (Report(refused) == Next::kClose) co_return Next::kClose;
  co_return co_await HandleSync();
}

Handler::Next Handler::Report(const Error& error) {
  // Inside a row nothing else can be said.
  if (sink_.inside_row() || client_.broken()) {
    client_.Abort();
    return Next::kClose;
  }
  const PgDiagnostic diagnostic = pgwire::DiagnosticOf(error);
  pgwire::WriteDiagnostic(client_.out(), diagnostic);
  client_.Flush();
  // What ended is a backend, because its server goes or somebody wished it so. The client's session is here, and stays.
  const bool of_backend = pgwire::IsConnectionState(diagnostic.code);
  return pgwire::EndsSession(diagnostic) && !of_backend ? Next::kClose : Next::kGoOn;
}

Handler::Next Handler::ReportAndDiscard(const Error& error) {
  session_.transaction().Fail();
  discarding_ = true;
  return Report(error);
}

Handler::Next Handler::Fatal(std::string sqlstate, std::string message) {
  PgDiagnostic diagnostic;
  diagnostic.severity = "FATAL";
  diagnostic.code = std::move(sqlstate);
  diagnostic.message = std::move(message);
  pgwire::WriteDiagnostic(client_.out(), diagnostic);
  client_.Flush();
  return Next::kClose;
}

void Handler::Ready() {
  for (const auto& [name, value] : session_.reported().TakeChanges()) {
    pgwire::WriteParameterStatus(client_.out(), name, value);
  }
  pgwire::WriteReadyForQuery(client_.out(), static_cast<pgwire::TransactionStatus>(session_.status_byte()));
  client_.Flush();
  between_cycles_ = true;
}

}  // namespace multigres::gateway::handler
