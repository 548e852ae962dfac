// How a client connection begins: encryption, protocol version, start-up parameters (PostgreSQL manual, "Start-up";
// every message before authentication).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "services/multigateway/listener/client_connection.h"

namespace multigres {
class TlsContext;
}

namespace multigres::gateway::listener {

struct StartupOptions {
  std::shared_ptr<TlsContext> tls;  // null = encryption isn't offered
  bool require_tls = false;         // CancelRequests are exempt
};

enum class ReplicationMode : std::uint8_t { kOff, kPhysical, kLogical };

struct StartupRequest {
  std::uint32_t protocol_version = 0;  // 3.0 or 3.2: what is spoken from here on
  std::string user;
  std::string database;  // the user's name if the client named none
  // The settings asked for, in the order given: start-up parameters and `options` alike. Names as sent.
  std::vector<std::pair<std::string, std::string>> settings;
  ReplicationMode replication = ReplicationMode::kOff;
};

struct CancelRequest {
  std::uint32_t process_id = 0;
  std::string secret_key;  // 4 to 256 bytes
};

// Nothing to serve: the client went away, or TLS failed, and no answer is due.
struct NoSession {};

using StartupOutcome = std::variant<StartupRequest, CancelRequest, NoSession>;

// Reads up to the StartupMessage or CancelRequest, answering SSLRequest and GSSENCRequest on the way and taking direct
// TLS. An error is the client's FATAL: 08P01 (bad packet; direct TLS without ALPN), 0A000 (second SSLRequest, major
// version other than 3), 28000 (no user; plaintext where TLS is required), 22023 (bad `replication`), 42601 (bad
// `options`). NegotiateProtocolVersion has been queued where it is due.
Awaitable<Result<StartupOutcome>> NegotiateStartup(ClientConnection& client, StartupOptions options, Deadline deadline);

// Splits a command line of `options` ("-c a=1 --b-c=2", backslash escapes) into settings. 42601 if it has anything
// else.
Result<std::vector<std::pair<std::string, std::string>>> ParseOptions(std::string_view options);

}  // namespace multigres::gateway::listener
