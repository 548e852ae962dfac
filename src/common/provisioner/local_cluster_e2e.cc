// The command line, the supervisor and etcd as real processes; our other services are stand-ins that only listen, so
// that this needs nothing but the program `multigres` and `pgctld`.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "common/portpool/port_pool.h"
#include "common/provisioner/cluster_config.h"
#include "common/provisioner/cluster_status.h"
#include "common/provisioner/service_state.h"
#include "common/provisioner/supervisor_process.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kStandIn = R"(#!/usr/bin/env python3
import http.server, socket, sys
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--"))
class Live(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *a):
        pass
names = ["grpc-port"] + (["pg-port", "pg-replica-port"] if "pg-bind-address" in flags else [])
sockets = [socket.create_server((flags["bind-address"], int(flags[n]))) for n in names]
http.server.ThreadingHTTPServer((flags["bind-address"], int(flags["http-port"])), Live).serve_forever()
)";

struct Outcome {
  int exit_code = 0;
  std::string output;  // stdout and stderr
};

class LocalClusterE2e : public testing::Test {
 protected:
  void SetUp() override {
    const char* bin = std::getenv("MULTIGRES_BIN_DIR");
    bin_ = bin != nullptr ? bin : std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
    auto folder = fs::TempDir::Create("cluster");
    ASSERT_TRUE(folder);
    folder_.emplace(std::move(*folder));
    std::filesystem::permissions(folder_->path(), std::filesystem::perms(0755));
    const std::string stand_in = folder_->path() + "/stand-in";
    ASSERT_TRUE(fs::WriteFileAtomic(stand_in, kStandIn, 0755));
    auto random = SystemRandom();
    config_ = DefaultClusterConfig(folder_->path() + "/root", *random);
    config_.cells.resize(2);
    MovePorts();
    config_.multiadmin.path = stand_in;
    for (CellConfig& cell : config_.cells) {
      cell.gateway.path = cell.pooler.path = cell.orch.path = stand_in;
      cell.pgctld.path = bin_ + "/pgctld";
    }
    ASSERT_TRUE(fs::WriteFileAtomic(folder_->path() + "/multigres.yaml", ToYaml(config_)));
  }
  void TearDown() override {
    if (folder_) Cli("cluster stop --clean");
  }

  void MovePorts() {
    portpool::PortPool pool;
    const auto move = [&pool](std::uint16_t& port) {
      auto free = pool.Allocate();
      while (!free) free = pool.Allocate();
      port = *free;
    };
    for (std::uint16_t* port : {&config_.etcd.port, &config_.etcd.peer_port, &config_.etcd.metrics_port,
                                &config_.multiadmin.http_port, &config_.multiadmin.grpc_port}) {
      move(*port);
    }
    for (CellConfig& cell : config_.cells) {
      for (ServiceConfig* service :
           std::initializer_list<ServiceConfig*>{&cell.gateway, &cell.pooler, &cell.orch, &cell.pgctld}) {
        move(service->http_port);
        move(service->grpc_port);
      }
      move(cell.gateway.pg_port);
      move(cell.gateway.pg_replica_port);
      move(cell.pooler.pg_port);
      cell.pgctld.pg_port = cell.pooler.pg_port;
    }
  }

  Outcome Cli(const std::string& arguments) {
    const std::string command = fmt::format("{}/multigres {} --config-path {} 2>&1", bin_, arguments, folder_->path());
    Outcome outcome;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer{};
    std::size_t size = 0;
    while ((size = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) outcome.output.append(buffer.data(), size);
    const int status = ::pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }
  Outcome Start() { return Cli("cluster start --no-wait-for-bootstrap"); }

  std::vector<ServiceState> States() { return ReadServiceStates(Layout(config_).state_dir(), nullptr); }
  ServiceState StateOf(const std::string& service, const std::string& id) {
    for (ServiceState& state : States()) {
      if (state.spec.service == service && state.spec.id == id) return state;
    }
    return {};
  }
  template <class Condition>
  static bool Eventually(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  }

  std::string bin_;
  std::optional<fs::TempDir> folder_;
  ClusterConfig config_;
};

TEST_F(LocalClusterE2e, StartsSupervisesAdoptsAndStops) {
  const Outcome started = Start();
  ASSERT_EQ(started.exit_code, 0) << started.output;
  EXPECT_NE(started.output.find(fmt::format("psql \"host=localhost port={} user=postgres dbname=postgres\"",
                                            config_.cells[0].gateway.pg_port)),
            std::string::npos);
  EXPECT_NE(started.output.find(fmt::format("http://localhost:{}", config_.multiadmin.http_port)), std::string::npos);
  EXPECT_EQ(States().size(), 10u);
  EXPECT_EQ(ReadClusterStatus(config_).Verdict(), "Running");

  // A dead service comes back, and the status says how often.
  const pid_t gateway = StateOf("multigateway", "zone2").process.pid;
  ASSERT_GT(gateway, 0);
  ::kill(gateway, SIGKILL);
  EXPECT_TRUE(Eventually([&] {
    const ServiceState state = StateOf("multigateway", "zone2");
    return state.restarts == 1 && state.IsRunning() && state.process.pid != gateway;
  }));
  EXPECT_NE(Cli("cluster status").output.find("signal 9 (Killed)"), std::string::npos);

  // A dead supervisor's services live on, and the next start adopts them.
  auto supervisor = ReadSupervisorState(Layout(config_));
  ASSERT_TRUE(supervisor);
  ::kill(supervisor->process.pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !IsRunning(supervisor->process); }));
  EXPECT_EQ(ReadClusterStatus(config_).Verdict(), "Degraded");
  const ServiceState etcd = StateOf("etcd", "default");
  EXPECT_TRUE(etcd.IsRunning());
  const Outcome again = Start();
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_NE(again.output.find(fmt::format("etcd is already running (PID {}) ✓", etcd.process.pid)), std::string::npos)
      << again.output;
  EXPECT_EQ(ReadClusterStatus(config_).Verdict(), "Running");

  const Outcome restarted = Cli("cluster restart --wait-for-bootstrap=false");
  EXPECT_EQ(restarted.exit_code, 0) << restarted.output;
  EXPECT_FALSE(etcd.IsRunning());
  EXPECT_EQ(ReadClusterStatus(config_).Verdict(), "Running");

  const Outcome stopped = Cli("cluster stop");
  EXPECT_EQ(stopped.exit_code, 0) << stopped.output;
  EXPECT_NE(stopped.output.find("Multigres cluster stopped successfully!"), std::string::npos);
  EXPECT_FALSE(etcd.IsRunning());
  EXPECT_TRUE(States().empty());
  EXPECT_TRUE(fs::Exists(config_.Resolve(config_.etcd.data_dir) + "/member"));

  // Everything is found again; without its supervisor it can be stopped as well, and cleaned away.
  const Outcome third = Start();
  EXPECT_EQ(third.exit_code, 0) << third.output;
  supervisor = ReadSupervisorState(Layout(config_));
  ASSERT_TRUE(supervisor);
  ::kill(supervisor->process.pid, SIGKILL);
  const std::vector<ServiceState> left = States();
  const Outcome cleaned = Cli("cluster stop --clean");
  EXPECT_EQ(cleaned.exit_code, 0) << cleaned.output;
  EXPECT_NE(cleaned.output.find("clean mode, all data for this local cluster will be deleted"), std::string::npos);
  for (const ServiceState& state : left) EXPECT_FALSE(state.IsRunning()) << state.spec.Display();
  EXPECT_FALSE(fs::Exists(Layout(config_).data_dir()));
  EXPECT_TRUE(fs::Exists(folder_->path() + "/multigres.yaml"));
}

TEST_F(LocalClusterE2e, RefusesABusyPortBeforeAnythingIsStarted) {
  Reactor reactor;
  TcpAddress address;
  address.host = "127.0.0.1";
  address.port = config_.cells[1].gateway.pg_port;
  auto listener = Listener::Open(reactor, address);
  ASSERT_TRUE(listener);
  const Outcome refused = Start();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_TRUE(refused.output.starts_with(
      fmt::format("Error: cannot start multigateway (zone2): port {} (pg_port) is already in use", address.port)))
      << refused.output;
  EXPECT_TRUE(States().empty());
  (*listener)->Close();
}

TEST_F(LocalClusterE2e, ShowsTheEndOfTheLogOfAServiceThatDoesNotStayUp) {
  const std::string broken = folder_->path() + "/broken";
  ASSERT_TRUE(fs::WriteFileAtomic(broken, "#!/bin/sh\necho no such luck >&2\nexit 7\n", 0755));
  config_.cells[0].orch.path = broken;
  ASSERT_TRUE(fs::WriteFileAtomic(folder_->path() + "/multigres.yaml", ToYaml(config_)));
  const Outcome failed = Start();
  EXPECT_EQ(failed.exit_code, 1);
  EXPECT_NE(failed.output.find("multiorch (zone"), std::string::npos) << failed.output;
  EXPECT_NE(failed.output.find("no such luck"), std::string::npos) << failed.output;
}

TEST_F(LocalClusterE2e, MistakesOnTheCommandLineAreOneSentenceAndExitOne) {
  const Outcome unknown = Cli("cluster backup --database x");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.output, "Error: `multigres cluster backup` is not available in this build\n");
  const Outcome exists = Cli("cluster init");
  EXPECT_EQ(exists.exit_code, 1);
  EXPECT_EQ(exists.output, fmt::format("Error: config file already exists: {}/multigres.yaml\n", folder_->path()));
  ASSERT_TRUE(fs::WriteFileAtomic(folder_->path() + "/multigres.yaml", "provisioner: [\n"));
  const Outcome corrupt = Cli("cluster status");
  EXPECT_EQ(corrupt.exit_code, 1);
  EXPECT_TRUE(corrupt.output.starts_with(
      fmt::format("Error: config file {}/multigres.yaml: not valid YAML: ", folder_->path())))
      << corrupt.output;
  ASSERT_TRUE(fs::WriteFileAtomic(folder_->path() + "/multigres.yaml", ToYaml(config_)));
  const Outcome flag = Cli("cluster start --pg-bin-dir /nonexistent");
  EXPECT_EQ(flag.exit_code, 1);
  EXPECT_NE(flag.output.find("--pg-bin-dir"), std::string::npos) << flag.output;
}

}  // namespace
}  // namespace multigres::provisioner
