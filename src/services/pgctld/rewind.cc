#include "services/pgctld/rewind.h"

#include "services/pgctld/data_directory.h"
#include "tools/fs/file.h"
#include "tools/process/process.h"

namespace multigres::pgctld {

namespace {

using std::chrono::milliseconds;

constexpr int kLockFileAttempts = 10;
constexpr Duration kLockFileRetry = milliseconds(500);
// What pg_rewind prints once it has found where both histories part, and its own WAL back to the checkpoint before.
constexpr std::string_view kWouldRewind = "rewinding from last common checkpoint";
constexpr Duration kLookAtOutput = milliseconds(10);
constexpr Duration kEndDryRun = milliseconds(500);

SpawnOptions SingleUserCommand(const PostgresOptions& options) {
  SpawnOptions spawn;
  spawn.argv = {options.Program("postgres"), "--single", "-D", options.data_dir, "template1"};
  spawn.environment = {"PGPASSWORD", "POSTGRES_PASSWORD", "PGDATA", "LC_MESSAGES=C"};
  spawn.umask = 0077;
  spawn.standard_error = OutputTo::SameAsStdout();
  return spawn;
}

bool HoldsLockFile(std::string_view output) {
  const auto at = output.find("lock file \"");
  return at != std::string_view::npos && output.find("already exists", at) != std::string_view::npos;
}

// A value of a libpq connection string (manual, "Keyword/Value Connection Strings").
std::string ConnectionValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "'";
}

Awaitable<Result<>> RecoverWithoutSignalFiles(Reactor& reactor, const PostgresOptions& options, Deadline deadline) {
  for (int attempt = 1;; ++attempt) {
    auto done = co_await RunProcess(reactor, SingleUserCommand(options), deadline);
    if (!done) co_return Fail(std::move(done), "single-user recovery");
    if (done->status.Succeeded()) co_return Result<>();
    if (!HoldsLockFile(done->output) || attempt == kLockFileAttempts) {
      co_return Fail(Code::kInternal,
                     fmt::format("single-user recovery failed ({}):\n{}", done->status.ToString(), done->output));
    }
    co_await SleepFor(reactor.clock(), kLockFileRetry);
  }
}

}  // namespace

Awaitable<Result<std::string>> ReadClusterState(Reactor& reactor, const PostgresOptions& options, Deadline deadline) {
  SpawnOptions spawn;
  spawn.argv = {options.Program("pg_controldata"), "-D", options.data_dir};
  spawn.environment = {"LC_ALL=C"};
  auto done = co_await RunProcess(reactor, std::move(spawn), deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!done->status.Succeeded()) co_return Fail(Code::kDataLoss, "pg_controldata: " + done->error);
  co_return ControlDataField(done->output, "Database cluster state");
}

Awaitable<Result<>> RecoverInSingleUserMode(Reactor& reactor, const PostgresOptions& options, Deadline deadline) {
  const DataDirectory directory(options.data_dir);
  const bool was_standby = directory.HasStandbySignal();
  if (auto removed = directory.RemoveSignalFiles(); !removed) co_return removed;
  auto recovered = co_await RecoverWithoutSignalFiles(reactor, options, deadline);
  if (was_standby) {
    auto restored = directory.CreateStandbySignal();
    if (recovered && !restored) recovered = std::move(restored);
  }
  co_return recovered;
}

namespace {

// What pg_rewind's own sync does file by file: the file systems of the data directory, its WAL and its tablespaces.
Awaitable<Result<>> SyncFileSystems(Reactor& reactor, std::string data_dir, Deadline deadline) {
  SpawnOptions spawn;
  spawn.argv = {"sync", "--file-system", data_dir, data_dir + "/pg_wal"};
  auto tablespaces = fs::ListDirectory(data_dir + "/pg_tblspc");
  if (!tablespaces) co_return std::unexpected(std::move(tablespaces.error()));
  for (const std::string& name : *tablespaces) spawn.argv.push_back(data_dir + "/pg_tblspc/" + name);
  spawn.standard_error = OutputTo::SameAsStdout();
  auto done = co_await RunProcess(reactor, std::move(spawn), deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!done->status.Succeeded()) co_return Fail(Code::kInternal, done->output);
  co_return Result<>();
}

// Whether there is anything to do is said before the first file is fetched; the rest of a dry run would fetch all that
// a real one writes (all WAL, above all), to no use.
Awaitable<Result<Completed>> RunUntilDecided(Reactor& reactor, SpawnOptions spawn, Deadline deadline) {
  auto process = Process::Spawn(reactor, std::move(spawn));
  if (!process) co_return std::unexpected(std::move(process.error()));
  while (process->captured_output().find(kWouldRewind) == std::string::npos) {
    auto ended = co_await process->Wait(deadline.Earlier(reactor.clock().After(kLookAtOutput)));
    if (ended) co_return Completed{.status = *ended, .output = process->captured_output(), .error = {}};
    if (deadline.Passed(reactor.clock().Now())) co_return std::unexpected(std::move(ended.error()));
  }
  auto ended = co_await process->Terminate(kEndDryRun);
  if (!ended) co_return std::unexpected(std::move(ended.error()));
  co_return Completed{.status = {}, .output = process->captured_output(), .error = {}};
}

}  // namespace

Awaitable<Result<std::string>> RunPgRewind(Reactor& reactor, const PostgresOptions& options, RewindRequest request,
                                           Deadline deadline) {
  SpawnOptions spawn;
  spawn.argv = {options.Program("pg_rewind"), "--target-pgdata=" + options.data_dir, "--no-ensure-shutdown",
                "--no-sync",
                fmt::format("--source-server=host={} port={} user={} dbname=postgres connect_timeout=5 "
                            "application_name={} passfile={}",
                            ConnectionValue(request.source_host), request.source_port, ConnectionValue(options.user),
                            ConnectionValue(request.application_name), ConnectionValue(options.passfile()))};
  if (request.dry_run) spawn.argv.emplace_back("--dry-run");
  spawn.argv.insert(spawn.argv.end(), request.extra_args.begin(), request.extra_args.end());
  spawn.environment = {"PGPASSWORD", "POSTGRES_PASSWORD", "LC_ALL=C"};
  spawn.umask = 0077;
  spawn.standard_error = OutputTo::SameAsStdout();
  auto done = request.dry_run ? co_await RunUntilDecided(reactor, std::move(spawn), deadline)
                              : co_await RunProcess(reactor, std::move(spawn), deadline);
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!done->status.Succeeded()) {
    co_return Fail(Code::kInternal, fmt::format("pg_rewind failed ({}):\n{}", done->status.ToString(), done->output));
  }
  if (!request.dry_run) {
    auto synced = co_await SyncFileSystems(reactor, options.data_dir, deadline);
    if (!synced) co_return Fail(std::move(synced), "sync after pg_rewind");
  }
  co_return std::move(done->output);
}

}  // namespace multigres::pgctld
