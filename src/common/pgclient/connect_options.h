// Where and as whom to connect to PostgreSQL.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/auth/scram_verifier.h"
#include "common/pgwire/protocol.h"
#include "tools/async/cancel_token.h"
#include "tools/clock/clock.h"
#include "tools/net/socket.h"

namespace multigres::pgclient {

struct NoSecret {};

struct ConnectOptions {
  Address address;  // UnixAddress names the socket file itself: "/run/pg/.s.PGSQL.5432"
  std::string user;
  std::string database;  // empty = the user's name
  // Further startup parameters: application_name, options, replication, any GUC.
  std::vector<std::pair<std::string, std::string>> parameters;
  // A password, or SCRAM keys (key passthrough). Without one, only a server that trusts us lets us in.
  std::variant<NoSecret, std::string, auth::ScramKeys> secret;
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
