// SQL through PostgreSQL's own psql: for a handful of administrative statements, not for serving.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/pgctld/options.h"
#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pgctld {

struct PsqlCall {
  std::string socket_dir;
  std::uint16_t port = 5432;
  std::string database = "postgres";
  // -c and -f arguments in order; or, if empty, `input` on stdin.
  std::vector<std::string> arguments;
  std::optional<std::string> input;
  // "-c name=value" settings of the session.
  std::vector<std::string> settings;
};

// Runs as the superuser and stops at the first error. Returns the rows, unaligned, without header. The error carries
// what psql wrote, and never the input.
Awaitable<Result<std::string>> RunPsql(Reactor& reactor, const PostgresOptions& options, PsqlCall call,
                                       Deadline deadline);

}  // namespace multigres::pgctld
