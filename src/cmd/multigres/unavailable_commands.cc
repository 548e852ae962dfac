// Commands that this build doesn't have yet.

#include <CLI/CLI.hpp>

#include "cmd/multigres/command.h"

namespace multigres::cli {

namespace {

Awaitable<Result<>> Unavailable(std::string command) {
  co_return Fail(Code::kUnimplemented, fmt::format("`multigres {}` is not available in this build", command));
}

}  // namespace

void AddUnavailableCommands(CLI::App& /*app*/, CLI::App& cluster, Command* chosen) {
  for (const char* name : {"backup", "list-backups", "expire-backups", "verify-backups", "apply-rule-change",
                           "check-backup-config", "refresh-credentials"}) {
    CLI::App& command = *cluster.add_subcommand(name, "not available in this build");
    command.fallthrough(false);
    command.allow_extras();
    command.callback(
        [chosen, name] { *chosen = [name](Context&) { return Unavailable(std::string("cluster ") + name); }; });
  }
}

}  // namespace multigres::cli
