#include "services/pgctld/postmaster.h"

#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "services/pgctld/readiness.h"

namespace multigres::pgctld {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPollInterval = milliseconds(20);
constexpr Duration kProbeTimeout = seconds(2);
constexpr Duration kImmediateGrace = seconds(5);
constexpr Duration kOrphanGrace = seconds(1);
constexpr int kLogLinesShown = 20;

std::size_t SizeOf(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

SpawnOptions PostmasterCommand(const PostgresOptions& options, const LaunchOptions& launch) {
  SpawnOptions spawn;
  spawn.argv = {options.Program("postgres"),
                "-D",
                launch.data_dir,
                "-p",
                std::to_string(launch.port),
                "-c",
                "listen_addresses=" + launch.listen_addresses,
                "-c",
                "unix_socket_directories=" + launch.socket_dir};
  spawn.argv.insert(spawn.argv.end(), launch.extra_args.begin(), launch.extra_args.end());
  spawn.environment = {"PGPASSWORD", "POSTGRES_PASSWORD", "PGDATA"};
  spawn.working_directory = launch.data_dir;
  spawn.standard_output = OutputTo::File(launch.log_file);
  spawn.standard_error = OutputTo::SameAsStdout();
  spawn.new_session = true;
  spawn.umask = 0077;
  spawn.kill_when_dropped = false;
  return spawn;
}

}  // namespace

Result<StopMode> ParseStopMode(std::string_view text) {
  if (text.empty() || text == "fast") return StopMode::kFast;
  if (text == "smart") return StopMode::kSmart;
  if (text == "immediate") return StopMode::kImmediate;
  return Fail(Code::kInvalidArgument, fmt::format("unknown stop mode '{}': use smart, fast or immediate", text));
}

std::string TailOf(const std::string& path, std::size_t from_offset, int lines) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from_offset));
  std::vector<std::string> kept;
  for (std::string line; std::getline(file, line);) {
    kept.push_back(std::move(line));
    if (kept.size() > static_cast<std::size_t>(lines)) kept.erase(kept.begin());
  }
  return fmt::format("{}", fmt::join(kept, "\n"));
}

Awaitable<Result<LaunchOutcome>> LaunchPostmaster(Reactor& reactor, const PostgresOptions& options,
                                                  LaunchOptions launch, Deadline deadline) {
  Clock& clock = reactor.clock();
  const std::size_t log_offset = SizeOf(launch.log_file);
  auto process = Process::Spawn(reactor, PostmasterCommand(options, launch));
  if (!process) co_return std::unexpected(std::move(process.error()));
  const DataDirectory directory(launch.data_dir);
  const std::string socket_path = fmt::format("{}/.s.PGSQL.{}", launch.socket_dir, launch.port);
  while (true) {
    const auto running = directory.FindPostmaster();
    if (running && running->process == process->identity()) {
      const Deadline probe_deadline = deadline.Earlier(clock.After(kProbeTimeout));
      const Readiness readiness = co_await ProbeReadiness(reactor, socket_path, options.user, probe_deadline);
      if (readiness == Readiness::kReady) co_return LaunchOutcome{.pid = process->pid(), .accepting = true};
    }
    if (deadline.Passed(clock.Now())) co_return LaunchOutcome{.pid = process->pid(), .accepting = false};
    auto ended = co_await process->Wait(clock.After(kPollInterval));
    if (ended) {
      co_return Fail(Code::kInternal, fmt::format("postgres didn't start ({}):\n{}", ended->ToString(),
                                                  TailOf(launch.log_file, log_offset, kLogLinesShown)));
    }
  }
}

namespace {

// Children first remembered, then killed after their parent: without it none of them can be replaced.
Awaitable<Result<>> KillAll(Reactor& reactor, Process& postmaster, Deadline deadline) {
  std::vector<ProcessIdentity> children;
  for (const pid_t child : ChildrenOf(postmaster.pid())) {
    if (auto identity = IdentifyProcess(child)) children.push_back(std::move(*identity));
  }
  (void)postmaster.Signal(SIGKILL);
  for (ProcessIdentity& identity : children) {
    auto child = Process::Adopt(reactor, std::move(identity));
    if (!child) continue;
    (void)child->Signal(SIGKILL);
    (void)co_await child->Wait(deadline.Earlier(reactor.clock().After(kImmediateGrace)));
  }
  auto ended = co_await postmaster.Wait(deadline.Earlier(reactor.clock().After(kImmediateGrace)));
  if (!ended) co_return std::unexpected(std::move(ended.error()));
  co_return Result<>();
}

}  // namespace

Awaitable<Result<>> EndOrphans(Reactor& reactor, const DataDirectory& directory, Deadline deadline) {
  const Deadline patience = deadline.Earlier(reactor.clock().After(kOrphanGrace));
  std::vector<ProcessIdentity> orphans = directory.FindProcesses();
  for (ProcessIdentity& identity : orphans) {
    auto orphan = Process::Adopt(reactor, std::move(identity));
    if (!orphan) continue;
    auto ended = co_await orphan->Wait(patience);
    if (ended) continue;
    (void)orphan->Signal(SIGKILL);
    ended = co_await orphan->Wait(deadline);
    if (!ended) co_return std::unexpected(std::move(ended.error()).With("left over by a dead postmaster"));
  }
  co_return Result<>();
}

Awaitable<Result<>> StopPostmaster(Reactor& reactor, const RunningPostmaster& postmaster, StopMode mode,
                                   Deadline deadline) {
  auto process = Process::Adopt(reactor, postmaster.process);
  if (!process) co_return Result<>();  // ended meanwhile
  // PostgreSQL manual, "Shutting Down the Server".
  const int signal = mode == StopMode::kSmart ? SIGTERM : mode == StopMode::kFast ? SIGINT : SIGQUIT;
  (void)process->Signal(signal);
  const Deadline first =
      mode == StopMode::kImmediate ? deadline.Earlier(reactor.clock().After(kImmediateGrace)) : deadline;
  auto ended = co_await process->Wait(first);
  if (ended) co_return Result<>();
  if (mode == StopMode::kImmediate)
    co_return co_await KillAll(reactor, *process, reactor.clock().After(kImmediateGrace));
  co_return Fail(Code::kDeadlineExceeded, fmt::format("postgres (pid {}) still runs after a {} stop", process->pid(),
                                                      mode == StopMode::kFast ? "fast" : "smart"));
}

}  // namespace multigres::pgctld
