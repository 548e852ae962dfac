#include "services/multigateway/auth/authenticate.h"

#include <chrono>

#include "common/auth/scram_server.h"
#include "common/pgwire/backend.h"
#include "common/pgwire/frontend.h"
#include "multipoolerservice.pb.h"
#include "tools/net/tls.h"

namespace multigres::gateway::auth {

namespace {

using listener::ClientConnection;
using multigres::auth::ScramServer;
using multigres::auth::ScramServerOptions;
using multigres::auth::ScramVerifier;

Error TimedOut() {
  return Error(Code::kDeadlineExceeded, "08006", "canceling authentication due to timeout");
}

bool HasExpired(const multipoolerservice::GetAuthCredentialsResponse& credentials, WallTime now) {
  if (!credentials.has_valid_until()) return false;
  const auto limit = WallTime(std::chrono::seconds(credentials.valid_until().seconds())) +
                     std::chrono::nanoseconds(credentials.valid_until().nanos());
  return limit < now;
}

ScramServerOptions OptionsFor(const Credentials& credentials, const std::string& user, const std::string& mock_secret,
                              ClientConnection& client) {
  ScramServerOptions options;
  options.user = user;
  auto verifier =
      credentials != nullptr ? ScramVerifier::Parse(credentials->scram_hash()) : std::optional<ScramVerifier>();
  options.doomed = !verifier;
  options.verifier = verifier ? std::move(*verifier) : multigres::auth::MakeMockVerifier(user, mock_secret);
  if (const auto* tls = dynamic_cast<const TlsStream*>(&client.stream())) {
    options.encrypted = true;
    options.channel_binding_data = tls->context().server_end_point();
  }
  return options;
}

// The client's next SASL message.
Awaitable<Result<pgwire::Frame>> ReadSasl(ClientConnection& client) {
  auto sent = co_await client.Drain(0);
  if (!sent) co_return std::unexpected(std::move(sent.error()));
  auto frame = co_await client.ReadFrame();
  if (!frame) co_return std::unexpected(std::move(frame.error()));
  if (!*frame) {
    if (client.timed_out()) co_return std::unexpected(TimedOut());
    client.Abort();
    co_return Fail(Code::kUnavailable, "08006", "client closed the connection");
  }
  if ((*frame)->type != pgwire::kPassword) {
    co_return Fail(
        Code::kInvalidArgument, "08P01",
        fmt::format("expected SASL response, got message type {}", static_cast<unsigned char>((*frame)->type)));
  }
  co_return **frame;
}

Awaitable<Result<>> Exchange(ClientConnection& client, ScramServer& server) {
  pgwire::WriteAuthenticationSasl(client.out(), server.Mechanisms());
  auto frame = co_await ReadSasl(client);
  if (!frame) co_return std::unexpected(std::move(frame.error()));
  auto initial = pgwire::ReadSaslInitialResponse(frame->body);
  if (!initial) co_return std::unexpected(std::move(initial.error()));
  auto challenge = server.Begin(initial->mechanism, initial->data);
  while (true) {
    if (!challenge) co_return std::unexpected(std::move(challenge.error()));
    pgwire::WriteAuthenticationSaslContinue(client.out(), *challenge);
    frame = co_await ReadSasl(client);
    if (!frame) co_return std::unexpected(std::move(frame.error()));
    if (!server.awaits_first()) break;
    challenge = server.Continue(frame->body);
  }
  auto final_message = server.Finish(frame->body);
  if (!final_message) co_return std::unexpected(std::move(final_message.error()));
  pgwire::WriteAuthenticationSaslFinal(client.out(), *final_message);
  co_return Result<>{};
}

}  // namespace

Awaitable<Result<Authenticated>> Authenticate(ClientConnection& client, CredentialSource& source, std::string user,
                                              std::string database, std::string mock_secret, Deadline deadline) {
  auto credentials = co_await source.LookUp(database, user, deadline);
  if (!credentials) co_return std::unexpected(std::move(credentials.error()));
  ScramServer server(OptionsFor(*credentials, user, mock_secret, client));
  auto proved = co_await Exchange(client, server);
  if (!proved) co_return std::unexpected(std::move(proved.error()));
  const auto& role = **credentials;
  if (!role.can_login()) {
    co_return Fail(Code::kUnauthenticated, "28000", "role \"" + user + "\" is not permitted to log in");
  }
  if (HasExpired(role, client.reactor().clock().WallNow())) {
    co_return std::unexpected(multigres::auth::PasswordAuthenticationFailed(user));
  }
  if (!role.database_exists()) {
    co_return Fail(Code::kNotFound, "3D000", "database \"" + database + "\" does not exist");
  }
  co_return Authenticated{server.keys(), std::move(*credentials)};
}

}  // namespace multigres::gateway::auth
