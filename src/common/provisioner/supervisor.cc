#include "common/provisioner/supervisor.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "tools/fs/file.h"

namespace multigres::provisioner {

struct Supervisor::Service {
  Service(ServiceSpec spec, Random& random, const SupervisorOptions& options)
      : jitter(random, options.backoff_base, options.backoff_max) {
    state.spec = std::move(spec);
  }

  ServiceState state;
  std::optional<Process> process;
  TimePoint up_since;
  int exits = 0;
  Jitter jitter;
  Event stop;  // ends the wait before a restart
};

namespace {

// The log belongs to whoever the service runs as, because it may open it itself.
Result<> PrepareLog(const ServiceSpec& spec) {
  const std::string folder = std::filesystem::path(spec.log_file).parent_path().string();
  if (auto made = fs::MakeDirectories(folder); !made) return made;
  const int fd = ::open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Fail(Code::kPermissionDenied, fmt::format("cannot open the log file {}", spec.log_file));
  const bool owned = !spec.uid || ::fchown(fd, *spec.uid, spec.gid.value_or(static_cast<gid_t>(-1))) == 0;
  ::close(fd);
  if (!owned) return Fail(Code::kPermissionDenied, fmt::format("cannot hand over the log file {}", spec.log_file));
  return {};
}

}  // namespace

Supervisor::Supervisor(Reactor& reactor, Random& random, Logger logger, SupervisorOptions options)
    : reactor_(reactor),
      random_(random),
      logger_(std::move(logger)),
      options_(std::move(options)),
      tasks_(reactor.executor()),
      stops_(reactor.executor()) {}

Supervisor::~Supervisor() = default;

Result<> Supervisor::Spawn(Service& service) {
  const ServiceSpec& spec = service.state.spec;
  if (auto prepared = PrepareLog(spec); !prepared) return prepared;
  SpawnOptions options;
  options.argv = spec.argv;
  options.environment = spec.environment;
  options.working_directory = "/";
  options.standard_output = OutputTo::File(spec.log_file);
  options.standard_error = OutputTo::SameAsStdout();
  options.new_session = true;
  options.run_as_uid = spec.uid;
  options.run_as_gid = spec.gid;
  options.kill_when_dropped = false;
  auto process = Process::Spawn(reactor_, std::move(options));
  if (!process) return Fail(std::move(process), spec.Display());
  service.process.emplace(std::move(*process));
  service.state.process = service.process->identity();
  service.up_since = reactor_.clock().Now();
  Save(service);
  logger_.Info("service started",
               {{"service", spec.service}, {"id", spec.id}, {"pid", std::int64_t{service.process->pid()}}});
  return {};
}

void Supervisor::Save(const Service& service) {
  auto written = WriteServiceState(service.state);
  if (!written) logger_.Error("writing a service's state failed", {{"error", written.error()}});
}

void Supervisor::Attach(std::shared_ptr<Service> service) {
  services_[service->state.spec.state_file] = service;
  tasks_.Spawn("watch " + service->state.spec.Display(), Watch(*this, service));
}

Result<Supervisor::Started> Supervisor::Start(ServiceSpec spec) {
  if (stopping_) return Fail(Code::kFailedPrecondition, "the cluster is being stopped");
  const auto known = services_.find(spec.state_file);
  if (known != services_.end()) {
    // Waiting for its restart counts as running: the pid is the last one's then.
    Started started;
    started.pid = known->second->state.process.pid;
    started.was_running = true;
    return started;
  }
  auto service = std::make_shared<Service>(std::move(spec), random_, options_);
  Started started;
  auto state = ReadServiceState(service->state.spec.state_file);
  if (state && state->IsRunning()) {
    auto process = Process::Adopt(reactor_, state->process);
    if (process) {
      const ServiceSpec wanted = std::move(service->state.spec);
      service->state = std::move(*state);
      service->state.spec = wanted;
      service->process.emplace(std::move(*process));
      service->up_since = reactor_.clock().Now();
      Save(*service);
      started.was_running = true;
    }
  }
  if (!service->process) {
    service->state.started_at = Rfc3339(reactor_.clock().WallNow());
    if (auto spawned = Spawn(*service); !spawned) return std::unexpected(std::move(spawned.error()));
  }
  started.pid = service->process->pid();
  Attach(std::move(service));
  return started;
}

int Supervisor::AdoptAll(const std::string& state_dir) {
  int adopted = 0;
  for (ServiceState& state : ReadServiceStates(state_dir, nullptr)) {
    if (services_.contains(state.spec.state_file) || !state.IsRunning()) continue;
    auto process = Process::Adopt(reactor_, state.process);
    if (!process) continue;
    auto service = std::make_shared<Service>(state.spec, random_, options_);
    service->state = std::move(state);
    service->process.emplace(std::move(*process));
    service->up_since = reactor_.clock().Now();
    logger_.Info("service adopted", {{"service", service->state.spec.service},
                                     {"id", service->state.spec.id},
                                     {"pid", std::int64_t{service->process->pid()}}});
    Attach(std::move(service));
    ++adopted;
  }
  return adopted;
}

Awaitable<void> Supervisor::Watch(Supervisor& self, std::shared_ptr<Service> service) {
  Clock& clock = self.reactor_.clock();
  for (;;) {
    if (service->process) {
      auto exit = co_await service->process->Wait();
      if (self.stopping_) co_return;
      service->state.last_exit = exit ? exit->ToString() : exit.error().message();
      ++service->exits;
      service->process.reset();
      self.logger_.Warn("service ended", {{"service", service->state.spec.service},
                                          {"id", service->state.spec.id},
                                          {"exit", service->state.last_exit}});
      self.Save(*service);
      if (clock.Now() - service->up_since >= self.options_.stable_after) service->jitter.Reset();
    }
    const bool stopped = co_await service->stop.WaitUntil(clock, clock.After(service->jitter.Next()));
    if (stopped || self.stopping_) co_return;
    ++service->state.restarts;
    service->state.last_restart_at = Rfc3339(clock.WallNow());
    auto spawned = self.Spawn(*service);
    if (!spawned) {
      service->state.last_exit = spawned.error().message();
      self.logger_.Error("starting a service again failed", {{"error", spawned.error()}});
      self.Save(*service);
    }
  }
}

std::vector<Supervisor::Status> Supervisor::List() const {
  std::vector<Status> list;
  for (const auto& [path, service] : services_) {
    Status status;
    status.id = service->state.spec.id;
    status.service = service->state.spec.service;
    status.pid = service->state.process.pid;
    status.running = service->process && !service->process->exit_status();
    status.restarts = service->state.restarts;
    status.exits = service->exits;
    status.last_exit = service->state.last_exit;
    list.push_back(std::move(status));
  }
  return list;
}

Awaitable<void> Supervisor::StopOne(Supervisor& self, std::shared_ptr<Service> service,
                                    std::vector<std::string>& warnings) {
  const ServiceSpec& spec = service->state.spec;
  const auto warn = [&](const Error& error) {
    warnings.push_back(fmt::format("{}: {}", spec.Display(), error.message()));
    self.logger_.Warn("stopping a service", {{"service", spec.service}, {"id", spec.id}, {"error", error}});
  };
  service->stop.Set();
  if (self.options_.before_stop) {
    auto prepared = co_await self.options_.before_stop(spec);
    if (!prepared) warn(prepared.error());
  }
  bool ended = true;
  if (service->process) {
    auto exit = co_await service->process->Terminate(self.options_.stop_grace);
    ended = exit.has_value();
    if (!exit) warn(exit.error());
  }
  if (self.options_.after_stop) {
    auto cleaned = co_await self.options_.after_stop(spec);
    if (!cleaned) warn(cleaned.error());
  }
  if (!ended) co_return;
  for (const std::string& path : {spec.state_file, spec.log_file}) {
    auto removed = fs::RemoveFile(path);
    if (!removed) warn(removed.error());
  }
}

Awaitable<std::vector<std::string>> Supervisor::StopAll() {
  stopping_ = true;
  std::vector<std::string> warnings;
  for (const StopPhase phase : {StopPhase::kDatabase, StopPhase::kAdmin, StopPhase::kTopology}) {
    for (const auto& [path, service] : services_) {
      if (service->state.spec.stop_phase == phase) {
        stops_.Spawn("stop " + service->state.spec.Display(), StopOne(*this, service, warnings));
      }
    }
    co_await stops_.Join();
  }
  co_await tasks_.Join();
  services_.clear();
  co_return warnings;
}

Awaitable<void> Supervisor::Detach() {
  stopping_ = true;
  co_await tasks_.CancelAndJoin();
  services_.clear();
}

}  // namespace multigres::provisioner
