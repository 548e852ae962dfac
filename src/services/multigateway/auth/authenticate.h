// Letting a client in: SCRAM-SHA-256 against the verifier that PostgreSQL keeps.
#pragma once

#include <string>

#include "common/auth/scram_verifier.h"
#include "services/multigateway/auth/credentials.h"
#include "services/multigateway/listener/client_connection.h"

namespace multigres::gateway::auth {

struct Authenticated {
  multigres::auth::ScramKeys keys;  // with which the pooler can be the client towards PostgreSQL
  Credentials credentials;
};

// Runs the exchange. A role that doesn't exist, has no password, has expired or may not log in goes through it as any
// other and fails at its end, so that nobody learns which roles there are. AuthenticationOk isn't sent here.
// Errors are the client's FATAL: 28P01, 28000, 08P01, 0A000 (SCRAM), 3D000 (no such database; only after the password),
// 57P03, 08006 (time is up, or the client is gone: client.broken()).
// `mock_secret`: from which the salts of roles that don't exist are made.
Awaitable<Result<Authenticated>> Authenticate(listener::ClientConnection& client, CredentialSource& source,
                                              std::string user, std::string database, std::string mock_secret,
                                              Deadline deadline);

}  // namespace multigres::gateway::auth
