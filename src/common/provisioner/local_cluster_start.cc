#include <unistd.h>

#include "common/provisioner/gateway_check.h"
#include "common/provisioner/local_cluster.h"
#include "common/provisioner/readiness.h"
#include "common/provisioner/supervisor_process.h"
#include "common/provisioner/topology_setup.h"
#include "common/topoclient/etcdtopo/etcd_topo.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

constexpr Duration kReadyTime = 10s;
constexpr Duration kPgctldReadyTime = 60s;
constexpr Duration kBootstrapTime = 2min;
constexpr std::size_t kLogLines = 20;
// A service that ends this often before it was ever ready won't get there by trying.
constexpr int kExitsTooMany = 3;

std::string BindAddress(const StartOptions& options) {
  return options.bind_address.empty() ? "127.0.0.1" : options.bind_address;
}

std::string LogEnd(const ServiceSpec& spec) {
  return fmt::format("the end of its log {}:\n{}", spec.log_file, LastLines(spec.log_file, kLogLines));
}

}  // namespace

LocalCluster::LocalCluster(Reactor& reactor, Random& random, ClusterConfig config,
                           std::function<void(const std::string&)> print)
    : reactor_(reactor), random_(random), config_(std::move(config)), layout_(config_), print_(std::move(print)) {}

Awaitable<Result<>> LocalCluster::Start(StartOptions options) {
  auto prepared = co_await Prepare(options);
  if (!prepared) co_return prepared;
  auto supervisor = co_await EnsureSupervisor(reactor_, layout_, options.supervisor_command);
  if (!supervisor) co_return std::unexpected(std::move(supervisor.error()));
  print_("Starting etcd...");
  auto etcd = co_await StartAndWait(**supervisor, plan_.etcd);
  if (!etcd) co_return etcd;
  auto topology = co_await StartTopology();
  if (!topology) co_return topology;
  auto services = co_await StartServices();
  if (!services) co_return services;
  if (options.wait_for_bootstrap) {
    auto ready = co_await WaitForGateways();
    if (!ready) co_return ready;
  }
  PrintSummary();
  co_return Result<>();
}

// Everything that can be refused before anything has been started.
Awaitable<Result<>> LocalCluster::Prepare(const StartOptions& options) {
  auto programs = co_await FindPrograms(reactor_, config_, OwnDirectory(), options.pg_bin_dir);
  if (!programs) co_return std::unexpected(std::move(programs.error()));
  auto user = co_await EnsureServiceUser(reactor_);
  if (!user) co_return std::unexpected(std::move(user.error()));
  if (auto made = MakeDirectories(*user); !made) co_return made;
  if (*user) {
    auto installed = InstallPrograms(programs->services, layout_.bin_dir());
    if (!installed) co_return std::unexpected(std::move(installed.error()));
    programs->services = std::move(*installed);
  }
  PlanOptions plan;
  plan.bind_address = options.bind_address;
  plan.user = *user;
  plan_ = MakeClusterPlan(config_, *programs, plan);
  co_return CheckPorts(BindAddress(options));
}

Result<> LocalCluster::MakeDirectories(const std::optional<ServiceUser>& user) {
  const std::optional<ServiceUser> ourselves;
  const auto services = [&](const std::string& path, mode_t mode) { return MakeOwnedDirectory(path, mode, user); };
  if (auto made = fs::MakeDirectories(layout_.root()); !made) return made;
  if (user) {
    if (auto reachable = CheckReachable(layout_.root(), *user); !reachable) return reachable;
  }
  // Control stays with whoever runs the CLI; everything else belongs to the services' user.
  if (auto made = MakeOwnedDirectory(layout_.state_dir(), 0755, ourselves); !made) return made;
  if (auto made = MakeOwnedDirectory(layout_.logs_dir(), 0755, ourselves); !made) return made;
  for (const std::string& path : {layout_.data_dir(), config_.Resolve(config_.etcd.data_dir)}) {
    if (auto made = services(path, 0700); !made) return made;
  }
  if (auto made = services(layout_.sockets_dir(), 0755); !made) return made;
  if (config_.backup.type == "local") {
    if (auto made = services(config_.Resolve(config_.backup.local_path), 0700); !made) return made;
  }
  for (const CellConfig& cell : config_.cells) {
    const std::string pooler_dir = config_.Resolve(cell.pooler.pooler_dir);
    for (const std::string& path : {pooler_dir, pooler_dir + "/pg_sockets"}) {
      if (auto made = services(path, 0700); !made) return made;
    }
    auto secret = WriteSecret(PasswordFile(config_, cell), cell.pgctld.pg_password + "\n", user);
    if (!secret) return secret;
  }
  return {};
}

Result<> LocalCluster::CheckPorts(const std::string& bind_address) {
  for (const ServiceSpec* spec : plan_.All()) {
    auto state = ReadServiceState(spec->state_file);
    if (state && state->IsRunning()) continue;
    if (auto free = CheckPortsFree(*spec, bind_address); !free) return free;
  }
  return {};
}

Awaitable<Result<>> LocalCluster::StartTopology() {
  topo::StoreOptions options;
  options.global_addresses = {EtcdAddress(config_)};
  options.global_root = config_.global_root_path;
  auto store = topo::Store::Create(reactor_, topo::NewEtcdBackend(reactor_), random_, Logger(), std::move(options));
  if (!store) co_return std::unexpected(std::move(store.error()));
  TopologySetup setup;
  for (const CellConfig& cell : config_.cells) {
    TopologySetup::CellEntry entry;
    entry.name = cell.name;
    entry.addresses = {EtcdAddress(config_)};
    entry.root = cell.root_path;
    setup.cells.push_back(std::move(entry));
  }
  setup.database = config_.default_db_name;
  if (config_.backup.type == "local") setup.backup_path = config_.Resolve(config_.backup.local_path);
  auto done = co_await SetUpCells(**store, setup);
  if (done) done = co_await SetUpDatabase(**store, setup);
  co_await (*store)->Close();
  if (!done) co_return Fail(std::move(done), "write the topology");
  co_return done;
}

Awaitable<Result<>> LocalCluster::StartServices() {
  print_(fmt::format("Starting multiadmin, and in {} cells multigateway, pgctld, multipooler and multiorch...",
                     plan_.cells.size()));
  std::vector<Result<>> results(plan_.cells.size() + 1);
  TaskGroup tasks(reactor_.executor());
  tasks.Spawn("start multiadmin", StartOne(*this, plan_.multiadmin, results.back()));
  for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
    tasks.Spawn("start cell", StartCell(*this, plan_.cells[i], results[i]));
  }
  co_await tasks.Join();
  for (Result<>& result : results) {
    if (!result) co_return std::move(result);
  }
  co_return Result<>();
}

Awaitable<void> LocalCluster::StartOne(LocalCluster& self, const ServiceSpec& spec, Result<>& result) {
  auto supervisor = co_await SupervisorClient::Connect(self.reactor_, self.layout_.supervisor_socket());
  if (!supervisor) {
    result = Fail(std::move(supervisor), "supervisor");
    co_return;
  }
  result = co_await self.StartAndWait(**supervisor, spec);
}

Awaitable<void> LocalCluster::StartCell(LocalCluster& self, const CellPlan& cell, Result<>& result) {
  Result<> gateway;
  Result<> orch;
  TaskGroup tasks(self.reactor_.executor());
  tasks.Spawn("start gateway", StartOne(self, cell.gateway, gateway));
  tasks.Spawn("start orch", StartOne(self, cell.orch, orch));
  co_await StartOne(self, cell.pgctld, result);
  if (result) co_await StartOne(self, cell.pooler, result);
  co_await tasks.Join();
  if (result && !gateway) result = std::move(gateway);
  if (result && !orch) result = std::move(orch);
}

Awaitable<Result<>> LocalCluster::StartAndWait(SupervisorClient& supervisor, const ServiceSpec& spec) {
  auto started = co_await supervisor.Start(spec);
  if (!started) co_return Fail(std::move(started), fmt::format("cannot start {}", spec.Display()));
  if (started->was_running) print_(fmt::format("{} is already running (PID {}) ✓", spec.Display(), started->pid));
  const Duration time = spec.service == "pgctld" ? kPgctldReadyTime : kReadyTime;
  const Deadline limit = reactor_.clock().After(time);
  for (;;) {
    auto ready = co_await ProbeService(reactor_, spec);
    if (ready) break;
    auto list = co_await supervisor.List();
    if (!list) co_return std::unexpected(std::move(list.error()));
    for (const Supervisor::Status& status : *list) {
      if (status.service != spec.service || status.id != spec.id || status.exits < kExitsTooMany) continue;
      co_return Fail(Code::kUnavailable,
                     fmt::format("{} does not stay up ({}); {}", spec.Display(), status.last_exit, LogEnd(spec)));
    }
    if (limit.Passed(reactor_.clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     fmt::format("{} is not ready after {} s ({}); {}", spec.Display(),
                                 std::chrono::duration_cast<std::chrono::seconds>(time).count(),
                                 ready.error().message(), LogEnd(spec)));
    }
    co_await SleepFor(reactor_.clock(), 100ms);
  }
  if (!started->was_running) print_(fmt::format("{} is running (PID {})", spec.Display(), started->pid));
  co_return Result<>();
}

Awaitable<Result<>> LocalCluster::WaitForGateways() {
  print_("Waiting until SELECT 1 works through every gateway...");
  const Deadline limit = reactor_.clock().After(kBootstrapTime);
  for (std::size_t i = 0; i < config_.cells.size(); ++i) {
    const CellConfig& cell = config_.cells[i];
    GatewayAddress gateway;
    gateway.host = plan_.cells[i].gateway.host;
    gateway.port = cell.gateway.pg_port;
    gateway.user = cell.pgctld.pg_user;
    gateway.password = cell.pgctld.pg_password;
    gateway.database = cell.pooler.database;
    auto ready = co_await WaitForSelectOne(reactor_, gateway, limit);
    if (!ready) {
      co_return Fail(
          Code::kDeadlineExceeded,
          fmt::format("SELECT 1 through the gateway of {} (port {}) did not work within {} s: {}; "
                      "`multigres cluster status` and the logs below {} tell more",
                      cell.name, gateway.port, std::chrono::duration_cast<std::chrono::seconds>(kBootstrapTime).count(),
                      ready.error().ToString(), layout_.logs_dir()));
    }
  }
  co_return Result<>();
}

void LocalCluster::PrintSummary() {
  print_("");
  print_("The cluster is running:");
  for (const ServiceSpec* spec : plan_.All()) {
    std::vector<std::string> ports;
    ports.reserve(spec->ports.size());
    for (const auto& [name, port] : spec->ports) ports.push_back(fmt::format("{} {}", name, port));
    print_(fmt::format("  {:<24} {}", spec->Display(), fmt::join(ports, ", ")));
  }
  const CellConfig& first = config_.cells.front();
  print_("");
  print_("Connect with:");
  print_(fmt::format("  psql \"host=localhost port={} user={} dbname={}\"", first.gateway.pg_port, first.pgctld.pg_user,
                     first.pooler.database));
  print_(fmt::format("  password: {}", first.pgctld.pg_password));
  print_(fmt::format("multiadmin: http://localhost:{}", config_.multiadmin.http_port));
}

}  // namespace multigres::provisioner
