#include "services/pgctld/initdb.h"

#include <sys/stat.h>
#include <unistd.h>

#include "services/pgctld/data_directory.h"
#include "services/pgctld/postmaster.h"
#include "services/pgctld/psql.h"
#include "services/pgctld/server_config.h"
#include "tools/fs/file.h"
#include "tools/process/process.h"

namespace multigres::pgctld {

namespace {

using std::chrono::seconds;

// What commits here must not wait for standbys, and must not log secrets.
const std::vector<std::string>& SessionSettings() {
  static const std::vector<std::string> settings = {"synchronous_commit=local"};
  return settings;
}

const std::vector<std::string>& SecretSettings() {
  static const std::vector<std::string> settings = {"synchronous_commit=local",      "log_statement=none",
                                                    "log_min_duration_statement=-1", "log_duration=off",
                                                    "log_min_messages=panic",        "log_min_error_statement=panic"};
  return settings;
}

std::string QuoteIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

// One initialisation: the building folder, its transient server, and the clean-up of both.
class Initialization {
 public:
  Initialization(Reactor& reactor, const PostgresOptions& options, Deadline deadline)
      : reactor_(reactor), options_(options), deadline_(deadline), folder_(options.data_dir + ".init") {}

  Awaitable<Result<>> Run(InitRequest request);

 private:
  Result<> PrepareFolders();
  Awaitable<Result<>> RunInitdb(const InitRequest& request);
  Awaitable<Result<>> FillDatabases();
  Awaitable<Result<>> RunSqlDirs();
  Awaitable<Result<>> RunSecrets();
  Awaitable<Result<std::string>> Psql(std::string database, std::vector<std::string> arguments,
                                      std::optional<std::string> input = std::nullopt,
                                      std::vector<std::string> settings = SessionSettings());
  Result<> MoveIntoPlace();

  Reactor& reactor_;
  const PostgresOptions& options_;
  const Deadline deadline_;
  const std::string folder_;
  std::string socket_dir_;
};

Awaitable<Result<>> Initialization::Run(InitRequest request) {
  auto done = PrepareFolders();
  if (done) done = co_await RunInitdb(request);
  if (done) done = InstallServerConfig(options_, folder_);
  if (done) done = co_await FillDatabases();
  if (done) done = MoveIntoPlace();
  if (!done) (void)fs::RemoveTree(folder_);
  co_return done;
}

Result<> Initialization::PrepareFolders() {
  if (fs::Exists(options_.data_dir)) {
    auto names = fs::ListDirectory(options_.data_dir);
    if (!names) return std::unexpected(std::move(names.error()));
    if (!names->empty()) {
      return Fail(Code::kFailedPrecondition,
                  fmt::format("{} is neither empty nor a PostgreSQL data directory", options_.data_dir));
    }
  }
  // What an interrupted earlier attempt left was never anybody's data.
  auto removed = fs::RemoveTree(folder_);
  if (!removed) return removed;
  const auto parent = options_.data_dir.rfind('/');
  if (parent != std::string::npos && parent != 0) {
    auto made = fs::MakeDirectories(options_.data_dir.substr(0, parent), 0700);
    if (!made) return made;
  }
  return {};
}

Awaitable<Result<>> Initialization::RunInitdb(const InitRequest& request) {
  SpawnOptions spawn;
  // The password comes by a file without a name.
  spawn.argv = {options_.Program("initdb"),
                "--pgdata=" + folder_,
                "--data-checksums",
                "--auth-local=" + request.auth_local,
                "--auth-host=" + request.auth_host,
                "--username=" + options_.user,
                "--pwfile=/dev/stdin",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-instructions"};
  spawn.argv.insert(spawn.argv.end(), options_.initdb_args.begin(), options_.initdb_args.end());
  spawn.argv.insert(spawn.argv.end(), request.extra_args.begin(), request.extra_args.end());
  spawn.environment = {"PGPASSWORD", "POSTGRES_PASSWORD", "PGDATA"};
  spawn.input = options_.password + "\n";
  spawn.umask = 0077;
  spawn.new_process_group = true;
  spawn.standard_error = OutputTo::SameAsStdout();
  auto done = co_await RunProcess(reactor_, std::move(spawn), deadline_);
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!done->status.Succeeded()) {
    co_return Fail(Code::kInternal, fmt::format("initdb failed ({}):\n{}", done->status.ToString(), done->output));
  }
  co_return Result<>();
}

Awaitable<Result<std::string>> Initialization::Psql(std::string database, std::vector<std::string> arguments,
                                                    std::optional<std::string> input,
                                                    std::vector<std::string> settings) {
  PsqlCall call;
  call.socket_dir = socket_dir_;
  call.port = options_.port;
  call.database = std::move(database);
  call.arguments = std::move(arguments);
  call.input = std::move(input);
  call.settings = std::move(settings);
  co_return co_await RunPsql(reactor_, options_, std::move(call), deadline_);
}

Awaitable<Result<>> Initialization::FillDatabases() {
  auto private_dir = fs::TempDir::Create("pgctld-init");
  if (!private_dir) co_return std::unexpected(std::move(private_dir.error()));
  socket_dir_ = private_dir->path();
  LaunchOptions launch;
  launch.data_dir = folder_;
  launch.port = options_.port;
  launch.socket_dir = socket_dir_;
  launch.log_file = options_.log_file();
  auto started = co_await LaunchPostmaster(reactor_, options_, std::move(launch), deadline_);
  Result<> done;
  if (!started) co_return Fail(std::move(started), "transient server");
  if (!started->accepting) done = Fail(Code::kDeadlineExceeded, "transient server was not ready in time");
  if (done && options_.database != "postgres") {
    std::vector<std::string> arguments = {"--command", "CREATE DATABASE " + QuoteIdentifier(options_.database)};
    auto created = co_await Psql("postgres", std::move(arguments));
    if (!created) done = Fail(std::move(created), "create database");
  }
  if (done) done = co_await RunSqlDirs();
  if (done) done = co_await RunSecrets();
  // However it went, the server must be gone before the folder is moved or removed.
  if (auto running = DataDirectory(folder_).FindPostmaster()) {
    auto stopped = co_await StopPostmaster(reactor_, *running, StopMode::kFast, reactor_.clock().After(seconds(10)));
    if (!stopped) {
      auto killed =
          co_await StopPostmaster(reactor_, *running, StopMode::kImmediate, reactor_.clock().After(seconds(10)));
      if (done) done = killed ? std::move(stopped) : std::move(killed);
    }
  }
  co_return done;
}

Awaitable<Result<>> Initialization::RunSqlDirs() {
  for (const auto& [role, folder] : options_.initdb_sql_dirs) {
    auto names = fs::ListDirectory(folder);
    if (!names) co_return Fail(std::move(names), "--pg-initdb-sql-dirs");
    for (const std::string& name : *names) {
      if (!name.ends_with(".sql")) continue;
      std::vector<std::string> arguments = {"--command", "SET ROLE " + QuoteIdentifier(role), "--file",
                                            folder + "/" + name};
      auto ran = co_await Psql(options_.database, std::move(arguments));
      if (!ran) co_return Fail(std::move(ran), folder + "/" + name);
    }
  }
  for (const std::string& file : options_.initdb_sql_files) {
    std::vector<std::string> arguments = {"--file", file};
    auto ran = co_await Psql(options_.database, std::move(arguments));
    if (!ran) co_return Fail(std::move(ran), file);
  }
  co_return Result<>();
}

Awaitable<Result<>> Initialization::RunSecrets() {
  if (!options_.secrets_file.empty()) {
    auto text = fs::ReadFile(options_.secrets_file);
    if (!text) co_return Fail(std::move(text), "--pg-init-secrets-file");
    auto ran = co_await Psql(options_.database, {}, std::move(*text), SecretSettings());
    // psql's own text could quote the statement that failed.
    if (!ran) co_return Fail(Code::kInternal, "a statement of --pg-init-secrets-file failed");
  }
  std::vector<std::string> arguments = {
      "--command",
      "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL"};
  auto without = co_await Psql("postgres", std::move(arguments));
  if (!without) co_return std::unexpected(std::move(without.error()));
  if (!without->empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   fmt::format("these login roles have no password: {}. Set them in --pg-init-secrets-file", *without));
  }
  co_return Result<>();
}

Result<> Initialization::MoveIntoPlace() {
  // rename() replaces an empty folder, but not a mount point.
  if (::rename(folder_.c_str(), options_.data_dir.c_str()) != 0) {
    const int number = errno;
    return Fail(
        Code::kFailedPrecondition,
        fmt::format("move {} to {}: {} (PGDATA must be a folder below a mount point, not the mount point itself)",
                    folder_, options_.data_dir, std::strerror(number)));
  }
  const auto parent = options_.data_dir.rfind('/');
  return fs::SyncDirectory(parent == 0 || parent == std::string::npos ? "/" : options_.data_dir.substr(0, parent));
}

}  // namespace

Awaitable<Result<>> InitializeDataDirectory(Reactor& reactor, const PostgresOptions& options, InitRequest request,
                                            Deadline deadline) {
  if (options.password.empty()) {
    co_return Fail(
        Code::kInvalidArgument,
        "no password for the superuser: set --pg-password-file, POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD");
  }
  if (options.password.find('\n') != std::string::npos) {
    co_return Fail(Code::kInvalidArgument, "the superuser's password must be one line");
  }
  Initialization initialization(reactor, options, deadline);
  co_return co_await initialization.Run(std::move(request));
}

}  // namespace multigres::pgctld
