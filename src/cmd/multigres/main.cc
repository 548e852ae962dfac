// multigres: the operator's command line.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "cmd/multigres/command.h"

namespace multigres::cli {
namespace {

std::string DefaultConfigPath() {
  const char* root = std::getenv("MTDATAROOT");
  return root != nullptr && *root != '\0' ? root : "multigres_local";
}

Awaitable<void> RunCommand(const Command& command, Context& context, Result<>& result) {
  result = co_await command(context);
}

int Main(int argc, char** argv) {
  GlobalFlags flags;
  Command command;
  CLI::App app("multigres: operates clusters of PostgreSQL behind gateways and poolers", "multigres");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--config-path", flags.config_path, "folders to look for the configuration in")->delimiter(',');
  app.add_option("--config-name", flags.config_name, "name of the configuration file, without .yaml");
  app.add_option("--config-file", flags.config_file, "the configuration file itself");
  app.add_option("--admin-server", flags.admin_server, "host:port of multiadmin's gRPC server");
  AddClusterCommands(app, &command);
  AddAdminCommands(app, &command);
  AddTopologyCommands(app, &command);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "Error: %s\n\n%s", error.what(), app.help().c_str());
    return 1;
  }
  if (flags.config_path.empty()) flags.config_path.push_back(DefaultConfigPath());

  Reactor reactor;
  auto random = SystemRandom();
  Context context{reactor, *random, flags};
  Result<> result;
  RunOnReactor(reactor, RunCommand(command, context, result));
  if (result) return 0;
  std::fprintf(stderr, "Error: %s\n", result.error().message().c_str());
  return 1;
}

}  // namespace
}  // namespace multigres::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  return multigres::cli::Main(argc, argv);
}
