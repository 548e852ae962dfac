#include "services/multigateway/handler/client_session.h"

#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "multipoolerservice.pb.h"
#include "services/multigateway/auth/authenticate.h"
#include "services/multigateway/handler/handler.h"
#include "services/multigateway/handler/login.h"

namespace multigres::gateway::handler {

using listener::ClientConnection;
using listener::StartupRequest;

namespace {

constexpr std::size_t kShortKey = 4;
constexpr std::size_t kLongKey = 32;

void WriteFatal(ClientConnection& client, const Error& error) {
  PgDiagnostic diagnostic = pgwire::DiagnosticOf(error, "FATAL");
  diagnostic.severity = "FATAL";
  if (diagnostic.code.empty() || diagnostic.code == "XX000") diagnostic.code = "MTE01";
  pgwire::WriteDiagnostic(client.out(), diagnostic);
  client.Flush();
}

Result<> CheckReplication(const StartupRequest& request, const auth::Credentials& credentials) {
  if (request.replication == listener::ReplicationMode::kOff) return {};
  if (!credentials->is_replication_role() && !credentials->is_superuser()) {
    return Fail(Code::kPermissionDenied, "42501", "must be superuser or replication role to start walsender");
  }
  return Fail(Code::kUnimplemented, "0A000", "replication connections are not supported by this gateway");
}

void WriteLogin(ClientConnection& client, const session::ReportedParameters::Map& reported,
                const cancel::CancelRegistry::Registration& registration) {
  pgwire::WriteAuthenticationOk(client.out());
  for (const auto& [name, value] : reported) pgwire::WriteParameterStatus(client.out(), name, value);
  pgwire::WriteBackendKeyData(client.out(), static_cast<std::int32_t>(registration.process_id()),
                              registration.secret_key());
}

}  // namespace

ClientSessions::ClientSessions(Reactor& reactor, SessionConfig config, auth::CredentialSource& credentials,
                               executor::Executor& executor, cancel::CancelRegistry& registry,
                               std::function<Awaitable<void>(listener::CancelRequest)> route_cancel, Logger logger)
    : reactor_(reactor),
      config_(std::move(config)),
      credentials_(credentials),
      executor_(executor),
      registry_(registry),
      route_cancel_(std::move(route_cancel)),
      logger_(std::move(logger)) {}

Awaitable<void> ClientSessions::Serve(std::unique_ptr<ByteStream> stream) {
  ClientConnection client(reactor_, std::move(stream));
  ++connected_;
  co_await ServeConnection(client);
  --connected_;
  co_await client.Close();
}

Awaitable<void> ClientSessions::ServeConnection(ClientConnection& client) {
  const Deadline deadline = config_.authentication_timeout == Duration::zero()
                                ? Deadline::Never()
                                : reactor_.clock().After(config_.authentication_timeout);
  client.SetReadDeadline(deadline);
  logging_in_.insert(&client);
  auto outcome = co_await listener::NegotiateStartup(client, config_.startup, deadline);
  logging_in_.erase(&client);
  if (!outcome) {
    WriteFatal(client, outcome.error());
    co_return;
  }
  if (auto* request = std::get_if<listener::CancelRequest>(&*outcome)) {
    // The end of this connection tells the client that its session has been told.
    co_await route_cancel_(std::move(*request));
    co_return;
  }
  auto* request = std::get_if<StartupRequest>(&*outcome);
  if (request == nullptr) {
    if (client.timed_out()) {
      WriteFatal(client, Error(Code::kDeadlineExceeded, "08006", "canceling authentication due to timeout"));
    }
    co_return;
  }
  co_await RunSession(client, std::move(*request));
}

Awaitable<void> ClientSessions::RunSession(ClientConnection& client, StartupRequest request) {
  const Deadline deadline = config_.authentication_timeout == Duration::zero()
                                ? Deadline::Never()
                                : reactor_.clock().After(config_.authentication_timeout);
  logging_in_.insert(&client);
  auto authenticated =
      co_await auth::Authenticate(client, credentials_, request.user, request.database, config_.mock_secret, deadline);
  logging_in_.erase(&client);
  client.SetReadDeadline(Deadline::Never());
  if (!authenticated) {
    WriteFatal(client, authenticated.error());
    co_return;
  }
  auto allowed = CheckReplication(request, authenticated->credentials);
  if (!allowed) {
    WriteFatal(client, allowed.error());
    co_return;
  }
  auto point =
      MakeStartingPoint(request, *authenticated->credentials, config_.statement_timeout_ms, config_.target_replica);
  if (!point) {
    WriteFatal(client, point.error());
    co_return;
  }
  for (const auto& name : point->ignored) logger_.Warn("start-up setting ignored", {{"name", name}});

  Handler* running = nullptr;
  auto registration =
      registry_.Register(reactor_, request.protocol_version >= pgwire::kProtocol32 ? kLongKey : kShortKey, [&running] {
        if (running != nullptr) running->CancelStatement();
      });
  if (!registration) {
    WriteFatal(client, registration.error());
    co_return;
  }
  session::Identity identity;
  identity.user = request.user;
  identity.database = request.database;
  identity.client_key = authenticated->keys.client_key.view();
  identity.server_key = authenticated->keys.server_key.view();
  identity.client_connection_id = registration->process_id();
  identity.target_replica = config_.target_replica;
  WriteLogin(client, point->reported, *registration);
  session::Session session(std::move(identity), std::move(point->settings), point->variables,
                           session::ReportedParameters(std::move(point->reported)));
  session.set_client_gone([&client] { return client.PeerHasLeft(); });
  Handler handler(client, executor_, session, logger_);
  running = &handler;
  handlers_.insert(&handler);
  if (shutting_down_) handler.Shutdown();
  co_await handler.Run();
  handlers_.erase(&handler);
  running = nullptr;
  registration->Reset();
  co_await executor_.EndSession(session);
}

void ClientSessions::Shutdown() {
  shutting_down_ = true;
  for (ClientConnection* client : logging_in_) client->Abort();
  for (Handler* handler : handlers_) handler->Shutdown();
}

void ClientSessions::Abort() {
  for (Handler* handler : handlers_) handler->Abort();
}

}  // namespace multigres::gateway::handler
