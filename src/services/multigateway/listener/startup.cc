#include "services/multigateway/listener/startup.h"

#include "common/pgwire/backend.h"
#include "common/pgwire/startup.h"
#include "tools/net/tls.h"

namespace multigres::gateway::listener {

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kNoAlpn =
    "received direct SSL connection request without ALPN protocol negotiation extension";

// Of a CancelRequest, in place of a protocol version: 80877102.
constexpr std::string_view kCancelCode = "\x04\xD2\x16\x2E";

// What has been asked for on this connection so far.
struct Progress {
  bool ssl_answered = false;
  bool gssenc_answered = false;
};

Result<ReplicationMode> ParseReplication(std::string_view value) {
  std::string text(value);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (text == "database") return ReplicationMode::kLogical;
  // PostgreSQL's parse_bool: prefixes of true, false, yes and no count, of on and off those that tell them apart.
  const auto is_prefix_of = [&](std::string_view word) { return !text.empty() && word.starts_with(text); };
  if (is_prefix_of("true") || is_prefix_of("yes") || text == "on" || text == "1") return ReplicationMode::kPhysical;
  if (is_prefix_of("false") || is_prefix_of("no") || text == "off" || text == "of" || text == "0") {
    return ReplicationMode::kOff;
  }
  return Fail(Code::kInvalidArgument, "22023",
              "invalid value for parameter \"replication\": \"" + std::string(value) + "\"");
}

std::vector<std::string> SplitOptions(std::string_view text) {
  std::vector<std::string> words;
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  for (std::size_t i = 0; i < text.size();) {
    if (is_space(text[i])) {
      ++i;
      continue;
    }
    std::string word;
    for (; i < text.size() && !is_space(text[i]); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      word.push_back(text[i]);
    }
    words.push_back(std::move(word));
  }
  return words;
}

Error BadOption(std::string_view word) {
  return Error(Code::kInvalidArgument, "42601",
               "invalid command-line argument for server process: " + std::string(word));
}

// "name=value", hyphens of the name standing for underscores.
Result<std::pair<std::string, std::string>> ParseAssignment(std::string_view text, std::string_view word) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::unexpected(BadOption(word));
  std::string name(text.substr(0, equals));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return std::pair(std::move(name), std::string(text.substr(equals + 1)));
}

Result<StartupRequest> ReadParameters(const pgwire::StartupPacket& packet, std::vector<std::string>& refused) {
  StartupRequest request;
  request.protocol_version = pgwire::MinorOf(packet.protocol_version) >= 2 ? pgwire::kProtocol32 : pgwire::kProtocol30;
  for (const auto& [name, value] : packet.parameters) {
    if (name == "user") {
      request.user = value;
    } else if (name == "database") {
      request.database = value;
    } else if (name == "replication") {
      auto mode = ParseReplication(value);
      if (!mode) return std::unexpected(std::move(mode.error()));
      request.replication = *mode;
    } else if (name == "options") {
      auto settings = ParseOptions(value);
      if (!settings) return std::unexpected(std::move(settings.error()));
      for (auto& setting : *settings) request.settings.push_back(std::move(setting));
    } else if (name.starts_with("_pq_.")) {
      refused.emplace_back(name);
    } else {
      request.settings.emplace_back(name, value);
    }
  }
  if (request.user.empty()) {
    return Fail(Code::kInvalidArgument, "28000", "no PostgreSQL user name specified in startup packet");
  }
  if (request.database.empty()) request.database = request.user;
  return request;
}

Result<StartupOutcome> TakeStartup(ClientConnection& client, const pgwire::StartupPacket& packet, bool require_tls) {
  const std::uint32_t version = packet.protocol_version;
  if (pgwire::MajorOf(version) != 3) {
    return Fail(Code::kInvalidArgument, "0A000",
                fmt::format("unsupported frontend protocol {}.{}: server supports 3.0 to 3.2", pgwire::MajorOf(version),
                            pgwire::MinorOf(version)));
  }
  if (require_tls && !client.encrypted()) {
    return Fail(Code::kUnauthenticated, "28000", "no encryption: TLS is required for this connection");
  }
  std::vector<std::string> refused;
  auto request = ReadParameters(packet, refused);
  if (!request) return std::unexpected(std::move(request.error()));
  if (pgwire::MinorOf(version) > 2 || !refused.empty()) {
    const std::vector<std::string_view> names(refused.begin(), refused.end());
    pgwire::WriteNegotiateProtocolVersion(client.out(), pgwire::kProtocol32, names);
  }
  return std::move(*request);
}

// The answer to SSLRequest: 'S' and a handshake, or 'N'. False: the connection is over.
Awaitable<Result<bool>> AnswerSslRequest(ClientConnection& client, const StartupOptions& options, Deadline deadline) {
  const bool accept = options.tls != nullptr && !client.encrypted();
  client.out().Byte(accept ? 'S' : 'N');
  auto sent = co_await client.Drain(0);
  if (!sent) co_return false;
  if (!accept) co_return true;
  // What came in the clear behind the request may be an attacker's (CVE-2021-23222): no session grows from it.
  std::string unread;
  auto stream = client.TakeStream(unread);
  if (!unread.empty()) {
    stream->Close();
    client.SetStream(std::move(stream));
    co_return false;
  }
  auto tls = co_await TlsAccept(client.reactor(), std::move(stream), options.tls, deadline);
  if (!tls) co_return false;
  client.SetStream(std::move(*tls));
  co_return true;
}

// The first byte was a TLS ClientHello.
Awaitable<Result<bool>> TakeDirectTls(ClientConnection& client, const StartupOptions& options, Deadline deadline) {
  if (options.tls == nullptr) co_return false;
  std::string unread;
  auto stream = client.TakeStream(unread);
  auto tls = co_await TlsAccept(client.reactor(), std::move(stream), options.tls, deadline, std::move(unread));
  if (!tls) co_return false;
  const bool agreed = (*tls)->alpn() == "postgresql";
  client.SetStream(std::move(*tls));
  if (!agreed) co_return Fail(Code::kInvalidArgument, "08P01", std::string(kNoAlpn));
  co_return true;
}

Error AlreadyNegotiated(std::string_view what, std::string_view kind) {
  return Error(Code::kInvalidArgument, "0A000",
               fmt::format("duplicate {}: {} negotiation already completed", what, kind));
}

// One packet. Empty: it was a request about encryption, and another packet follows.
Awaitable<Result<std::optional<StartupOutcome>>> TakePacket(ClientConnection& client, const StartupOptions& options,
                                                            Progress& progress, Deadline deadline) {
  auto bytes = co_await client.ReadStartupPacket();
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  if (!*bytes) co_return StartupOutcome(NoSession{});
  auto packet = pgwire::ReadStartupPacket(**bytes);
  if (!packet) {
    // Who cancels is never answered, whatever is wrong.
    if ((*bytes)->starts_with(kCancelCode)) co_return StartupOutcome(NoSession{});
    co_return std::unexpected(std::move(packet.error()));
  }
  switch (packet->kind) {
    case pgwire::StartupKind::kSslRequest: {
      if (std::exchange(progress.ssl_answered, true)) {
        co_return std::unexpected(AlreadyNegotiated("SSLRequest", "SSL"));
      }
      auto answered = co_await AnswerSslRequest(client, options, deadline);
      if (!answered) co_return std::unexpected(std::move(answered.error()));
      if (!*answered) co_return StartupOutcome(NoSession{});
      co_return std::nullopt;
    }
    case pgwire::StartupKind::kGssencRequest: {
      if (std::exchange(progress.gssenc_answered, true)) {
        co_return std::unexpected(AlreadyNegotiated("GSSENCRequest", "GSSAPI encryption"));
      }
      client.out().Byte('N');
      auto sent = co_await client.Drain(0);
      if (!sent) co_return StartupOutcome(NoSession{});
      co_return std::nullopt;
    }
    case pgwire::StartupKind::kCancelRequest:
      co_return StartupOutcome(
          CancelRequest{static_cast<std::uint32_t>(packet->process_id), std::string(packet->secret_key)});
    case pgwire::StartupKind::kStartup:
      break;
  }
  auto outcome = TakeStartup(client, *packet, options.require_tls);
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  co_return std::move(*outcome);
}

}  // namespace

Result<Settings> ParseOptions(std::string_view options) {
  Settings settings;
  const auto words = SplitOptions(options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    std::string_view assignment;
    if (word == "-c") {
      if (++i == words.size()) return std::unexpected(BadOption(word));
      assignment = words[i];
    } else if (word.starts_with("-c") || (word.starts_with("--") && word.size() > 2)) {
      assignment = std::string_view(word).substr(2);
    } else {
      return std::unexpected(BadOption(word));
    }
    auto setting = ParseAssignment(assignment, word);
    if (!setting) return std::unexpected(std::move(setting.error()));
    if (setting->first == "replication") continue;
    settings.push_back(std::move(*setting));
  }
  return settings;
}

Awaitable<Result<StartupOutcome>> NegotiateStartup(ClientConnection& client, StartupOptions options,
                                                   Deadline deadline) {
  auto first = co_await client.PeekByte();
  if (!first) co_return std::unexpected(std::move(first.error()));
  if (!*first) co_return NoSession{};
  Progress progress;
  if (**first == pgwire::kTlsHandshakeByte) {
    progress.ssl_answered = true;
    auto taken = co_await TakeDirectTls(client, options, deadline);
    if (!taken) co_return std::unexpected(std::move(taken.error()));
    if (!*taken) co_return NoSession{};
    // Inside the tunnel a further request is answered 'N' once, as PostgreSQL does.
    progress.ssl_answered = false;
  }
  while (true) {
    auto outcome = co_await TakePacket(client, options, progress, deadline);
    if (!outcome) co_return std::unexpected(std::move(outcome.error()));
    if (*outcome) co_return std::move(**outcome);
  }
}

}  // namespace multigres::gateway::listener
