// Where and as whom to connect to PostgreSQL.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/auth/scram_verifier.h"
#include "common/pgwire/protocol.h"
#include "tools/async/cancel_token.h"
#include "tools/clock/clock.h"
#include "tools/net/socket.h"

namespace multigres {
class TlsContext;
}  // namespace multigres

namespace multigres::pgclient {

struct NoSecret {};

// TLS to the server, over TCP only (as libpq does it).
struct TlsSettings {
  enum class Mode : std::uint8_t {
    kDisable,
    kPrefer,   // in the clear if the server has no TLS
    kRequire,  // an error then. What is verified beyond that is the context's matter.
  };
  Mode mode = Mode::kDisable;
  // TLS from the first byte (PostgreSQL 17 and newer); the context must offer ALPN "postgresql". Else an SSLRequest
  // goes first.
  bool direct = false;
  std::shared_ptr<TlsContext> context;
  std::string server_name;  // for SNI and verification
};

struct ConnectOptions {
  Address address;  // UnixAddress names the socket file itself: "/run/pg/.s.PGSQL.5432"
  std::string user;
  std::string database;  // empty = the user's name
  // Further startup parameters: application_name, options, replication, any GUC.
  std::vector<std::pair<std::string, std::string>> parameters;
  // A password, or SCRAM keys (key passthrough). Without one, only a server that trusts us lets us in.
  std::variant<NoSecret, std::string, auth::ScramKeys> secret;
  TlsSettings tls;
  std::uint32_t protocol_version = pgwire::kProtocol30;  // kProtocol32 asks for long cancel keys
  // A larger message than this breaks the connection; rows in blocks aren't bound by it.
  std::uint32_t max_message_bytes = pgwire::kMaxBody;
};

// What bounds a wait. Both leave the connection as it is: the same call can be made again later.
struct Bounds {
  Deadline deadline;
  CancelToken* cancel = nullptr;  // must outlive the call
};

// How to cancel what a connection is doing, from elsewhere.
struct CancelTarget {
  Address address;
  std::int32_t process_id = 0;
  std::string secret_key;
};

}  // namespace multigres::pgclient
