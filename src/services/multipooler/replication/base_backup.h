// Seeding: a copy of another member's data directory, made whole before it gets its name.
#pragma once

#include <string>

#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pooler::replication {

struct SeedSource {
  std::string host;
  int port = 0;
  std::string user;
  std::string passfile;
  std::string application_name;
};

// pg_basebackup -X stream -c fast into <data_dir>.seeding (synced), then renamed. What an earlier attempt left there is
// removed first. FAILED_PRECONDITION if data_dir exists. The copy has the source's postgresql.auto.conf without what
// says whom it follows and who acknowledges.
Awaitable<Result<>> SeedDataDirectory(Reactor& reactor, std::string pg_bin_dir, std::string data_dir, SeedSource source,
                                      Deadline deadline);

}  // namespace multigres::pooler::replication
