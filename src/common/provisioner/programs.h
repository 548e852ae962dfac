// The programs that a local cluster runs, found and checked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/provisioner/cluster_config.h"
#include "tools/async/reactor.h"

namespace multigres::provisioner {

struct Programs {
  std::string etcd;
  std::string pg_bin_dir;
  // "multigateway" -> path, and "zone1/multigateway" where a cell has its own.
  std::map<std::string, std::string> services;

  const std::string& ServicePath(const std::string& service, const std::string& cell) const;
};

// Our own programs that a cluster runs.
inline constexpr std::array<std::string_view, 5> kServicePrograms = {"multiadmin", "multigateway", "multipooler",
                                                                     "pgctld", "multiorch"};

// Looks in `pg_bin_dir` (if given), the CLI's own folder, PATH, and the newest supported /usr/lib/postgresql/*/bin.
// NOT_FOUND and FAILED_PRECONDITION (version) are one sentence that says what to do. PostgreSQL 14 to 18, etcd 3.4 or
// newer.
Awaitable<Result<Programs>> FindPrograms(Reactor& reactor, const ClusterConfig& config, std::string cli_dir,
                                         std::string pg_bin_dir);

// The folder of the running program.
std::string OwnDirectory();

// "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)" -> 15; 0 if it isn't that.
int ParsePostgresMajor(const std::string& version_output);
// "etcd Version: 3.4.23\n..." -> {3, 4}; {0, 0} if it isn't that.
std::pair<int, int> ParseEtcdVersion(const std::string& version_output);

}  // namespace multigres::provisioner
