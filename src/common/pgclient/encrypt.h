// TLS below a connection. Internal to common/pgclient.
#pragma once

#include "common/pgclient/connect_options.h"

namespace multigres::pgclient {

// Brings the stream under TLS as the settings say, with SSLRequest if need be. UNAVAILABLE if the handshake fails or
// the server has no TLS where it is required.
Awaitable<Result<std::unique_ptr<ByteStream>>> Encrypt(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                       TlsSettings settings, Deadline deadline);

}  // namespace multigres::pgclient
