// Connection: from an open socket to the first ReadyForQuery.
#include <vector>

#include "common/auth/scram_client.h"
#include "common/pgclient/connection.h"
#include "common/pgclient/encrypt.h"
#include "common/pgclient/query.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/startup.h"
#include "tools/net/tls.h"

namespace multigres::pgclient {

namespace {

std::unexpected<Error> Refused(std::string message) {
  return Fail(Code::kUnauthenticated, "28000", std::move(message));
}

std::unexpected<Error> Unexpected(const pgwire::Frame& message) {
  return Fail(Code::kInternal, "08P01",
              std::string("unexpected message '") + message.type + "' from the server during startup");
}

// Nothing has run before the first ReadyForQuery.
Error NotExecuted(Error error) {
  return std::move(error).WithExecution(Execution::kDidNotExecute);
}

}  // namespace

Awaitable<Result<std::unique_ptr<Connection>>> Connection::Open(Reactor& reactor, ConnectOptions options,
                                                                Bounds bounds) {
  auto stream = co_await Connect(reactor, options.address, bounds.deadline);
  const bool encrypt =
      options.tls.mode != TlsSettings::Mode::kDisable && std::holds_alternative<TcpAddress>(options.address);
  if (stream && encrypt) stream = co_await Encrypt(reactor, std::move(*stream), options.tls, bounds.deadline);
  if (!stream) co_return std::unexpected(NotExecuted(std::move(stream.error())));
  co_return co_await Open(reactor, std::move(*stream), std::move(options), bounds);
}

Awaitable<Result<std::unique_ptr<Connection>>> Connection::Open(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                                ConnectOptions options, Bounds bounds) {
  std::unique_ptr<Connection> connection(new Connection(reactor, std::move(stream), std::move(options)));
  auto started = co_await connection->StartUp(bounds);
  if (auto* password = std::get_if<std::string>(&connection->options_.secret)) auth::Wipe(*password);
  connection->options_.secret = NoSecret();
  if (!started) co_return std::unexpected(NotExecuted(std::move(started.error())));
  co_return connection;
}

Awaitable<Result<>> Connection::StartUp(Bounds bounds) {
  std::vector<pgwire::StartupParameter> parameters = {{"user", options_.user}};
  if (!options_.database.empty()) parameters.emplace_back("database", options_.database);
  for (const auto& [name, value] : options_.parameters) parameters.emplace_back(name, value);
  pgwire::WriteStartupMessage(out_, options_.protocol_version, parameters);
  protocol_version_ = options_.protocol_version;
  pipeline_.Sent(pgwire::kSync);  // answered by ReadyForQuery likewise
  AfterSend();

  std::unique_ptr<auth::ScramClient> scram;
  while (true) {
    auto message = co_await NextReply(bounds);
    if (!message) co_return std::unexpected(std::move(message.error()));
    Result<> handled;
    switch (message->type) {
      case pgwire::kAuthentication:
        handled = Authenticate(message->body, scram);
        break;
      case pgwire::kBackendKeyData:
      case pgwire::kNegotiateProtocolVersion:
        handled = Identify(*message);
        break;
      case pgwire::kErrorResponse:
        handled = std::unexpected(ErrorOf(*message));
        break;
      case pgwire::kReadyForQuery:
        co_return scram == nullptr ? Result<>{} : Refused("the server ended the SCRAM exchange too early");
      default:
        handled = Unexpected(*message);
    }
    if (!handled) co_return handled;
  }
}

Result<> Connection::Identify(const pgwire::Frame& message) {
  if (message.type == pgwire::kBackendKeyData) {
    auto key = pgwire::ReadBackendKeyData(message.body);
    if (!key) return std::unexpected(std::move(key.error()));
    process_id_ = key->process_id;
    secret_key_ = key->secret_key;
    return {};
  }
  auto negotiation = pgwire::ReadNegotiateProtocolVersion(message.body);
  if (!negotiation) return std::unexpected(std::move(negotiation.error()));
  if (pgwire::MajorOf(negotiation->version) != 3 || negotiation->version > protocol_version_) {
    return Fail(Code::kInternal, "08P01", "the server negotiated a protocol version that wasn't asked for");
  }
  protocol_version_ = negotiation->version;
  return {};
}

Result<> Connection::Authenticate(std::string_view body, std::unique_ptr<auth::ScramClient>& scram) {
  auto request = pgwire::ReadAuthentication(body);
  if (!request) return std::unexpected(std::move(request.error()));
  using enum pgwire::AuthenticationCode;
  switch (request->code) {
    case kOk:
      if (scram != nullptr) return Refused("the server ended the SCRAM exchange too early");
      return {};
    case kSasl:
      return BeginScram(request->mechanisms, scram);
    case kSaslContinue: {
      if (scram == nullptr) return Refused("SCRAM message from the server out of turn");
      auto response = scram->ClientFinal(request->data);
      if (!response) return std::unexpected(std::move(response.error()));
      pgwire::WriteSaslResponse(out_, *response);
      AfterSend();
      return {};
    }
    case kSaslFinal: {
      if (scram == nullptr) return Refused("SCRAM message from the server out of turn");
      auto verified = scram->VerifyServerFinal(request->data);
      scram.reset();
      return verified;
    }
    case kCleartextPassword:
      return Refused("the server asks for a cleartext password; only SCRAM-SHA-256 is supported");
    case kMd5Password:
      return Refused("the server asks for an MD5 password; only SCRAM-SHA-256 is supported");
    default:
      return Refused("the server asks for authentication method " +
                     std::to_string(static_cast<unsigned>(request->code)) + "; only SCRAM-SHA-256 is supported");
  }
}

Result<> Connection::BeginScram(std::span<const std::string_view> mechanisms,
                                std::unique_ptr<auth::ScramClient>& scram) {
  auth::ScramClientOptions options;
  options.encrypted = stream_->IsEncrypted();
  if (options.encrypted) options.channel_binding_data = CertificateEndPoint(stream_->PeerCertificate());
  if (auto* password = std::get_if<std::string>(&options_.secret)) {
    if (password->empty()) return Refused("the server asks for a password, but none was given");
    options.secret = *password;
  } else if (auto* keys = std::get_if<auth::ScramKeys>(&options_.secret)) {
    options.secret = *keys;
  } else {
    return Refused("the server asks for a password, but neither a password nor SCRAM keys were given");
  }
  scram = std::make_unique<auth::ScramClient>(std::move(options));
  auto mechanism = scram->ChooseMechanism(mechanisms);
  if (!mechanism) return std::unexpected(std::move(mechanism.error()));
  pgwire::WriteSaslInitialResponse(out_, *mechanism, scram->ClientFirst());
  AfterSend();
  return {};
}

}  // namespace multigres::pgclient
