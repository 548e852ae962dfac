#include <filesystem>

#include "common/provisioner/local_cluster.h"
#include "common/provisioner/postgres_stop.h"
#include "common/provisioner/supervisor_process.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

// PostgreSQL's shutdown checkpoint included.
constexpr Duration kStopTime = 90s;

// Of no consequence if it stays: the next start overwrites it.
void RemoveLeftOver(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
}

}  // namespace

Awaitable<Result<>> LocalCluster::Stop(bool clean) {
  auto stopped = co_await StopSupervisor();
  if (!stopped) co_return stopped;
  auto rest = co_await StopWithoutSupervisor();
  if (!rest) co_return rest;
  if (clean) RemoveEverything();
  co_return Result<>();
}

Awaitable<Result<>> LocalCluster::StopSupervisor() {
  auto state = ReadSupervisorState(layout_);
  if (!state || !IsRunning(state->process)) co_return Result<>();
  auto process = Process::Adopt(reactor_, state->process);
  if (!process) co_return Result<>();
  auto client = co_await SupervisorClient::Connect(reactor_, layout_.supervisor_socket());
  Result<> asked = Fail(Code::kUnavailable, "not asked");
  if (client) asked = co_await (*client)->Shutdown();
  if (!asked) {
    auto signalled = process->Signal(SIGTERM);
    if (!signalled && IsRunning(state->process)) {
      co_return Fail(std::move(signalled), fmt::format("cannot reach the supervisor (PID {}); stop the cluster as the "
                                                       "user who started it",
                                                       state->process.pid));
    }
  }
  print_("Stopping all services...");
  auto ended = co_await process->Wait(reactor_.clock().After(kStopTime));
  if (!ended) {
    co_return Fail(Code::kDeadlineExceeded,
                   fmt::format("the supervisor (PID {}) has not stopped the cluster within {} "
                               "s; its log is {}",
                               state->process.pid, std::chrono::duration_cast<std::chrono::seconds>(kStopTime).count(),
                               layout_.supervisor_log()));
  }
  co_return Result<>();
}

// What a supervisor that was killed has left behind.
Awaitable<Result<>> LocalCluster::StopWithoutSupervisor() {
  if (!fs::Exists(layout_.root())) co_return Result<>();
  auto lock = fs::LockFile::TryAcquire(layout_.supervisor_lock());
  if (!lock) co_return Fail(std::move(lock), "a supervisor is still at work");
  Supervisor supervisor(reactor_, random_, Logger(), StopOptions(reactor_));
  const int adopted = supervisor.AdoptAll(layout_.state_dir());
  if (adopted > 0) print_(fmt::format("Stopping {} services that were left running...", adopted));
  const auto warnings = co_await supervisor.StopAll();
  for (const std::string& warning : warnings) print_("warning: " + warning);
  for (const CellConfig& cell : config_.cells) {
    auto stopped = co_await StopPostmaster(reactor_, config_.Resolve(cell.pooler.pooler_dir) + "/pg_data");
    if (!stopped) print_("warning: " + stopped.error().message());
  }
  // Of services that had ended by themselves.
  for (const ServiceState& state : ReadServiceStates(layout_.state_dir(), nullptr)) {
    if (state.IsRunning()) continue;
    for (const std::string& path : {state.spec.state_file, state.spec.log_file}) RemoveLeftOver(path);
  }
  for (const std::string& path : {layout_.supervisor_socket(), layout_.supervisor_state()}) {
    RemoveLeftOver(path);
  }
  co_return Result<>();
}

void LocalCluster::RemoveEverything() {
  std::vector<std::string> paths = {
      layout_.logs_dir(),  layout_.state_dir(), layout_.data_dir(), layout_.sockets_dir(),
      layout_.spool_dir(), layout_.certs_dir(), layout_.bin_dir(),  config_.Resolve(config_.etcd.data_dir)};
  if (config_.backup.type == "local") paths.push_back(config_.Resolve(config_.backup.local_path));
  for (const CellConfig& cell : config_.cells) paths.push_back(config_.Resolve(cell.pooler.pooler_dir));
  for (const std::string& path : paths) {
    if (auto removed = fs::RemoveTree(path); !removed) print_("warning: " + removed.error().message());
  }
}

}  // namespace multigres::provisioner
