// multigres cluster ...: the local cluster.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "cmd/multigres/command.h"
#include "common/provisioner/cluster_status.h"
#include "common/provisioner/local_cluster.h"
#include "common/provisioner/supervisor_process.h"
#include "tools/fs/file.h"

namespace multigres::cli {

using namespace provisioner;

namespace {

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

struct ClusterFlags {
  std::string provisioner = "local";
  std::string root_working_dir;
  std::string backup_path;
  std::string backup_url;
  std::string region;
  bool encrypt_backups = false;
  bool wait_for_bootstrap = true;
  bool clean = false;
  std::string pg_bin_dir;
  std::string bind_address;
};

Result<ClusterConfig> Load(const GlobalFlags& flags) {
  auto path = FindClusterConfig(flags.config_path, flags.config_name, flags.config_file);
  if (!path) return std::unexpected(std::move(path.error()));
  return LoadClusterConfig(*path);
}

std::string ConfigFileToWrite(const GlobalFlags& flags) {
  if (!flags.config_file.empty()) return std::filesystem::absolute(flags.config_file).lexically_normal().string();
  return (std::filesystem::absolute(flags.config_path.front()) / (flags.config_name + ".yaml"))
      .lexically_normal()
      .string();
}

Result<> Init(Context& context, const ClusterFlags& flags) {
  if (flags.provisioner != "local") {
    return Fail(Code::kInvalidArgument,
                fmt::format("provisioner '{}' is unknown; only 'local' is there", flags.provisioner));
  }
  if (!flags.backup_url.empty() || flags.encrypt_backups) {
    return Fail(Code::kUnimplemented, "backups to S3 and encrypted backups are not available in this build");
  }
  const std::string file = ConfigFileToWrite(context.flags);
  if (fs::Exists(file)) return Fail(Code::kAlreadyExists, fmt::format("config file already exists: {}", file));
  const std::string folder = std::filesystem::path(file).parent_path().string();
  // PostgreSQL and our servers refuse root: the user that they run as then must get to their files.
  std::string root = ::geteuid() == 0 ? "/var/lib/multigres" : folder;
  if (!flags.root_working_dir.empty()) {
    root = std::filesystem::absolute(flags.root_working_dir).lexically_normal().string();
  }
  ClusterConfig config = DefaultClusterConfig(root, context.random);
  if (!flags.backup_path.empty()) {
    config.backup.local_path = std::filesystem::absolute(flags.backup_path).lexically_normal().string();
  }
  if (auto valid = Validate(config); !valid) return valid;
  const std::string yaml = ToYaml(config);
  if (auto made = fs::MakeDirectories(folder); !made) return made;
  if (auto written = fs::CreateExclusive(file, yaml); !written) return written;
  Print(fmt::format("{}\nConfiguration written to {}", yaml, file));
  return {};
}

Awaitable<Result<>> Start(Context& context, const ClusterFlags& flags) {
  auto config = Load(context.flags);
  if (!config) co_return std::unexpected(std::move(config.error()));
  StartOptions options;
  options.pg_bin_dir = flags.pg_bin_dir;
  options.bind_address = flags.bind_address;
  options.wait_for_bootstrap = flags.wait_for_bootstrap;
  options.supervisor_command = {std::filesystem::read_symlink("/proc/self/exe").string(), "supervise",
                                "--root-working-dir", config->root_working_dir};
  LocalCluster cluster(context.reactor, context.random, std::move(*config), Print);
  co_return co_await cluster.Start(std::move(options));
}

Awaitable<Result<>> Stop(Context& context, const ClusterFlags& flags) {
  auto config = Load(context.flags);
  if (!config) co_return std::unexpected(std::move(config.error()));
  if (flags.clean) Print("clean mode, all data for this local cluster will be deleted");
  LocalCluster cluster(context.reactor, context.random, std::move(*config), Print);
  auto stopped = co_await cluster.Stop(flags.clean);
  if (stopped) Print("Multigres cluster stopped successfully!");
  co_return stopped;
}

Awaitable<Result<>> Restart(Context& context, const ClusterFlags& flags) {
  auto stopped = co_await Stop(context, flags);
  if (!stopped) co_return stopped;
  co_return co_await Start(context, flags);
}

Awaitable<Result<>> Status(Context& context) {
  auto config = Load(context.flags);
  if (!config) co_return std::unexpected(std::move(config.error()));
  std::fputs(Render(ReadClusterStatus(*config)).c_str(), stdout);
  co_return Result<>();
}

Awaitable<Result<>> InitCommand(Context& context, const ClusterFlags& flags) {
  co_return Init(context, flags);
}

Awaitable<Result<>> Supervise(Context& context, const ClusterFlags& flags) {
  ClusterConfig config;
  config.root_working_dir = flags.root_working_dir;
  const Logger logger = Logger::Create({});
  auto done = co_await RunSupervisor(context.reactor, context.random, logger, Layout(config));
  co_return done;
}

void AddStartFlags(CLI::App& command, ClusterFlags& flags) {
  command.add_flag("--wait-for-bootstrap,!--no-wait-for-bootstrap", flags.wait_for_bootstrap,
                   "wait until SELECT 1 works through every gateway (default true)");
  command.add_option("--pg-bin-dir", flags.pg_bin_dir, "folder of PostgreSQL's programs");
  command.add_option("--bind-address", flags.bind_address, "address to listen on (default loopback)");
}

}  // namespace

void AddClusterCommands(CLI::App& app, Command* chosen) {
  // The commands share them: one command runs, and holds them.
  auto flags = std::make_shared<ClusterFlags>();
  CLI::App& cluster = *app.add_subcommand("cluster", "the local cluster");
  cluster.require_subcommand(1);
  cluster.fallthrough();

  CLI::App& init = *cluster.add_subcommand("init", "write the configuration of a local cluster");
  init.add_option("--provisioner", flags->provisioner, "local");
  init.add_option("--root-working-dir", flags->root_working_dir, "where the cluster keeps its data");
  init.add_option("--backup-path", flags->backup_path, "folder for backups");
  init.add_option("--backup-url", flags->backup_url, "s3://bucket/prefix for backups");
  init.add_option("--region", flags->region, "region of the S3 bucket");
  init.add_flag("--encrypt-backups", flags->encrypt_backups, "encrypt backups");
  init.callback([chosen, flags] { *chosen = [flags](Context& context) { return InitCommand(context, *flags); }; });

  CLI::App& start = *cluster.add_subcommand("start", "start the cluster, or what of it isn't running");
  AddStartFlags(start, *flags);
  start.callback([chosen, flags] { *chosen = [flags](Context& context) { return Start(context, *flags); }; });

  CLI::App& stop = *cluster.add_subcommand("stop", "stop the cluster, keeping its data");
  stop.add_flag("--clean", flags->clean, "delete the data as well");
  stop.callback([chosen, flags] { *chosen = [flags](Context& context) { return Stop(context, *flags); }; });

  CLI::App& restart = *cluster.add_subcommand("restart", "stop and start");
  restart.add_flag("--clean", flags->clean, "delete the data in between");
  AddStartFlags(restart, *flags);
  restart.callback([chosen, flags] { *chosen = [flags](Context& context) { return Restart(context, *flags); }; });

  CLI::App& status = *cluster.add_subcommand("status", "what runs, and how often it was started again");
  status.callback([chosen, flags] { *chosen = [flags](Context& context) { return Status(context); }; });

  CLI::App& supervise = *app.add_subcommand("supervise", "");
  supervise.group("");  // hidden
  supervise.add_option("--root-working-dir", flags->root_working_dir)->required();
  supervise.callback([chosen, flags] { *chosen = [flags](Context& context) { return Supervise(context, *flags); }; });

  AddSwitchCommand(cluster, chosen);
  AddUnavailableCommands(app, cluster, chosen);
}

}  // namespace multigres::cli
