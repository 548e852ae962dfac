#include "common/provisioner/supervisor_process.h"

#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "common/provisioner/postgres_stop.h"
#include "common/provisioner/readiness.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

constexpr Duration kSupervisorStart = 15s;

Result<> WriteSupervisorState(const Layout& layout, WallTime now) {
  auto self = IdentifyProcess(::getpid());
  if (!self) return std::unexpected(std::move(self.error()));
  const nlohmann::ordered_json json = {{"id", "supervisor"},      {"service", "supervisor"},
                                       {"pid", self->pid},        {"log-file", layout.supervisor_log()},
                                       {"runtime", "local"},      {"started-at", Rfc3339(now)},
                                       {"process", self->started}};
  return fs::WriteFileAtomic(layout.supervisor_state(), json.dump(2) + "\n");
}

}  // namespace

Awaitable<Result<>> RunSupervisor(Reactor& reactor, Random& random, Logger logger, Layout layout) {
  auto lock = fs::LockFile::TryAcquire(layout.supervisor_lock());
  if (!lock) co_return Fail(std::move(lock), "another supervisor runs for this root");
  if (auto made = fs::MakeDirectories(layout.state_dir()); !made) co_return made;

  Supervisor supervisor(reactor, random, logger, StopOptions(reactor));
  const int adopted = supervisor.AdoptAll(layout.state_dir());
  SupervisorServer server(reactor, supervisor, logger);
  auto written = WriteSupervisorState(layout, reactor.clock().WallNow());
  auto listening = server.Listen(layout.supervisor_socket());
  if (!written || !listening) {
    co_await server.Close();
    co_await supervisor.Detach();
    co_return written ? listening : written;
  }
  logger.Info("supervisor started", {{"adopted", adopted}});

  asio::signal_set signals(reactor.io(), SIGTERM, SIGINT);
  signals.async_wait([&server](boost::system::error_code error, int) {
    if (!error) server.shutdown_requested().Set();
  });
  co_await server.shutdown_requested().Wait();
  logger.Info("stopping all services");
  co_await supervisor.StopAll();
  co_await server.Close();
  for (const std::string& path : {layout.supervisor_socket(), layout.supervisor_state()}) {
    if (auto removed = fs::RemoveFile(path); !removed) logger.Warn("removing a file", {{"error", removed.error()}});
  }
  logger.Info("supervisor stopped");
  co_return Result<>();
}

Result<SupervisorState> ReadSupervisorState(const Layout& layout) {
  auto text = fs::ReadFile(layout.supervisor_state());
  if (!text) return std::unexpected(std::move(text.error()));
  const auto json = nlohmann::ordered_json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("pid") || !json.at("pid").is_number_integer()) {
    return Fail(Code::kInvalidArgument, fmt::format("{} is damaged", layout.supervisor_state()));
  }
  SupervisorState state;
  state.process.pid = json.at("pid").get<pid_t>();
  state.process.started = json.value("process", "");
  state.started_at = json.value("started-at", "");
  return state;
}

Awaitable<Result<std::unique_ptr<SupervisorClient>>> EnsureSupervisor(Reactor& reactor, Layout layout,
                                                                      std::vector<std::string> argv) {
  auto running = co_await SupervisorClient::Connect(reactor, layout.supervisor_socket());
  if (running) co_return running;

  SpawnOptions options;
  options.argv = std::move(argv);
  options.working_directory = "/";
  options.standard_output = OutputTo::File(layout.supervisor_log());
  options.standard_error = OutputTo::SameAsStdout();
  options.new_session = true;
  options.kill_when_dropped = false;
  auto process = Process::Spawn(reactor, std::move(options));
  if (!process) co_return Fail(std::move(process), "start the supervisor");
  Deadline limit = reactor.clock().After(kSupervisorStart);
  while (!limit.Passed(reactor.clock().Now())) {
    running = co_await SupervisorClient::Connect(reactor, layout.supervisor_socket());
    if (running) co_return running;
    if (!process->exit_status()) {
      auto ended = co_await process->Wait(reactor.clock().After(20ms));
      // Perhaps because another that was started at the same time was faster: that one will serve in a moment.
      if (ended) limit = limit.Earlier(reactor.clock().After(2s));
    } else {
      co_await SleepFor(reactor.clock(), 20ms);
    }
  }
  co_return Fail(Code::kUnavailable, fmt::format("the supervisor did not start; the end of its log {}:\n{}",
                                                 layout.supervisor_log(), LastLines(layout.supervisor_log(), 20)));
}

}  // namespace multigres::provisioner
