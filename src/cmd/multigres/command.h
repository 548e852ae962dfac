// What every command of the CLI is given, and how it is chosen.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/async/reactor.h"
#include "tools/random/random.h"
#include "tools/result/error.h"

namespace CLI {
class App;
}

namespace multigres::cli {

// Flags that may stand after any command.
struct GlobalFlags {
  std::vector<std::string> config_path;
  std::string config_name = "multigres";
  std::string config_file;
  std::string admin_server;
};

struct Context {
  Reactor& reactor;
  Random& random;
  GlobalFlags& flags;
};

// Set by the command that the command line names; run afterwards. Lives until it has finished.
using Command = std::function<Awaitable<Result<>>(Context& context)>;

// Each adds its commands to the program; the parsed flags live as long as the process.
void AddClusterCommands(CLI::App& app, Command* chosen);
void AddAdminCommands(CLI::App& app, Command* chosen);
void AddTopologyCommands(CLI::App& app, Command* chosen);
// cluster switch-primary
void AddSwitchCommand(CLI::App& cluster, Command* chosen);
// What exists in the specification and isn't in this build: an error that says so.
void AddUnavailableCommands(CLI::App& app, CLI::App& cluster, Command* chosen);

}  // namespace multigres::cli
