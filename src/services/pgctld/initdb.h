// Making a new database cluster: the only way that a fresh system identifier comes into the world.
#pragma once

#include "services/pgctld/options.h"
#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

struct InitRequest {
  std::string auth_local = "scram-sha-256";
  std::string auth_host = "scram-sha-256";
  std::vector<std::string> extra_args;
};

// Builds the cluster in <data_dir>.init: initdb (checksums, SCRAM, UTF-8), configuration with the fence, and by a
// transient server on a private socket without TCP: the user's database, SQL folders and files, secrets. Then syncs and
// renames it to data_dir, so that a data directory is either complete or absent. On failure nothing stays behind.
// INVALID_ARGUMENT without a password; FAILED_PRECONDITION if data_dir exists and isn't empty.
Awaitable<Result<>> InitializeDataDirectory(Reactor& reactor, const PostgresOptions& options, InitRequest request,
                                            Deadline deadline);

}  // namespace multigres::pgctld
