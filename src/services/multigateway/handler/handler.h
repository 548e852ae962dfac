// Takes an authenticated client's messages off the wire and gives each to the executor.
#pragma once

#include <optional>
#include <string>

#include "common/pgwire/framing.h"
#include "services/multigateway/executor/executor.h"
#include "services/multigateway/handler/wire_sink.h"
#include "services/multigateway/listener/client_connection.h"
#include "services/multigateway/session/session.h"
#include "tools/async/cancel_token.h"
#include "tools/log/logger.h"

namespace multigres::gateway::handler {

// One client, from its first ReadyForQuery (which Run() sends) to its end. Lives on the client's reactor.
class Handler {
 public:
  Handler(listener::ClientConnection& client, executor::Executor& executor, session::Session& session, Logger logger);

  // Returns when the client has terminated, is gone, or has been shown a FATAL error (other than the loss of a
  // backend).
  Awaitable<void> Run();

  // From the same reactor: cancels the message that is being worked on, if there is one.
  void CancelStatement() { Stop(CancelReason::kCancelled); }
  // This process is leaving: the client is told (57P01) as soon as it is between messages and outside a transaction.
  void Shutdown();
  // Its patience is over: what runs is cancelled, and the client is told wherever it is.
  void Abort();

 private:
  enum class Next : std::uint8_t { kGoOn, kClose };

  Awaitable<Next> HandleMessage(pgwire::Frame frame);
  Awaitable<Next> HandleQuery(pgwire::Frame frame);
  Awaitable<Next> HandleParse(pgwire::Frame frame);
  Awaitable<Next> HandleBind(pgwire::Frame frame);
  Awaitable<Next> HandleDescribe(pgwire::Frame frame);
  Awaitable<Next> HandleExecute(pgwire::Frame frame, bool include_describe);
  Awaitable<Next> HandleClose(pgwire::Frame frame);
  Awaitable<Next> HandleSync();
  Awaitable<Next> HandleFunctionCall(pgwire::Frame frame);
  Awaitable<Next> DescribeStatement(std::string name);
  Awaitable<Next> DescribePortal(std::string name);

  Awaitable<std::optional<pgwire::Frame>> ReadMessage();
  void ArmIdleTimeout();

  // Shows the error. kClose if the session can't go on.
  Next Report(const Error& error);
  Next ReportAndDiscard(const Error& error);
  Next Fatal(std::string sqlstate, std::string message);
  void Ready();
  void WriteDescription(const executor::Description& description, bool with_parameters);
  CancelToken& BeginCycle();
  void EndCycle();
  void Stop(CancelReason reason);

  listener::ClientConnection& client_;
  executor::Executor& executor_;
  session::Session& session_;
  Logger logger_;
  WireSink sink_;
  // Of the message cycle in progress: a late cancel must not hit the next one.
  std::optional<CancelToken> cancel_;
  bool discarding_ = false;
  bool between_cycles_ = true;
  bool shutting_down_ = false;
  bool aborting_ = false;
  bool idle_timeout_armed_ = false;
};

}  // namespace multigres::gateway::handler
