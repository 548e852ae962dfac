#include "common/provisioner/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "common/pgdata/postmaster_file.h"
#include "common/provisioner/postgres_stop.h"
#include "common/provisioner/programs.h"
#include "common/provisioner/readiness.h"
#include "common/provisioner/supervisor_control.h"
#include "tools/fs/file.h"

namespace multigres::provisioner {
namespace {

using namespace std::chrono_literals;

// A supervisor over real processes in a folder of its own.
class World {
 public:
  World() : folder_(*fs::TempDir::Create("supervisor")), random_(SeededRandom(1)) {}

  Reactor& reactor() { return reactor_; }
  std::string state_dir() const { return folder_.path() + "/state"; }

  std::unique_ptr<Supervisor> NewSupervisor() {
    SupervisorOptions options;
    options.backoff_base = 1ms;
    options.backoff_max = 5ms;
    options.stop_grace = 100ms;
    options.before_stop = [this](const ServiceSpec& spec) { return Note(stopped_, spec.id); };
    return std::make_unique<Supervisor>(reactor_, *random_, Logger(), std::move(options));
  }

  ServiceSpec Shell(const std::string& id, const std::string& script) const {
    ServiceSpec spec;
    spec.id = id;
    spec.service = "shell";
    spec.argv = {"/bin/sh", "-c", script};
    spec.log_file = folder_.path() + "/logs/" + id + ".log";
    spec.state_file = state_dir() + "/shell_" + id + ".json";
    return spec;
  }

  template <class Condition>
  Awaitable<bool> Eventually(Condition condition) {
    const Deadline limit = reactor_.clock().After(10s);
    while (!condition()) {
      if (limit.Passed(reactor_.clock().Now())) co_return false;
      co_await SleepFor(reactor_.clock(), 2ms);
    }
    co_return true;
  }

  const std::vector<std::string>& stopped() const { return stopped_; }
  void Run(Awaitable<void> (*body)(World&)) { RunOnReactor(reactor_, body(*this)); }

 private:
  static Awaitable<Result<>> Note(std::vector<std::string>& list, std::string id) {
    list.push_back(std::move(id));
    co_return Result<>();
  }

  fs::TempDir folder_;
  Reactor reactor_;
  std::unique_ptr<Random> random_;
  std::vector<std::string> stopped_;
};

TEST(Supervisor, StartsAServiceAndWritesItsStateAtOnce) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    const ServiceSpec spec = w.Shell("a", "exec sleep 1000");
    auto started = supervisor->Start(spec);
    EXPECT_TRUE(started);
    auto state = ReadServiceState(spec.state_file);
    EXPECT_TRUE(state);
    EXPECT_EQ(state->process.pid, started->pid);
    EXPECT_TRUE(state->IsRunning());
    auto again = supervisor->Start(spec);
    EXPECT_TRUE(again && again->was_running);
    EXPECT_EQ(again->pid, started->pid);
    const auto warnings = co_await supervisor->StopAll();
    EXPECT_TRUE(warnings.empty());
    EXPECT_FALSE(state->IsRunning());
    EXPECT_FALSE(fs::Exists(spec.state_file));
    EXPECT_FALSE(fs::Exists(spec.log_file));
  });
}

TEST(Supervisor, BringsBackWhatDiesAndCountsIt) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    const ServiceSpec spec = w.Shell("a", "exec sleep 1000");
    auto started = supervisor->Start(spec);
    EXPECT_TRUE(started);
    ::kill(started->pid, SIGKILL);
    auto restarted = [&] {
      auto state = ReadServiceState(spec.state_file);
      return state && state->restarts == 1 && state->IsRunning() && state->process.pid != started->pid;
    };
    EXPECT_TRUE(co_await w.Eventually(restarted));
    auto state = ReadServiceState(spec.state_file);
    EXPECT_EQ(state->last_exit, "signal 9 (Killed)");
    EXPECT_FALSE(state->last_restart_at.empty());
    EXPECT_EQ(supervisor->List()[0].restarts, 1);
    co_await supervisor->StopAll();
  });
}

TEST(Supervisor, KeepsTryingAServiceThatFails) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    auto started = supervisor->Start(w.Shell("a", "echo going down >&2; exit 3"));
    EXPECT_TRUE(started);
    EXPECT_TRUE(co_await w.Eventually([&] { return supervisor->List()[0].exits >= 3; }));
    EXPECT_EQ(supervisor->List()[0].last_exit, "exit code 3");
    const std::string log = LastLines(w.Shell("a", "").log_file, 1);
    EXPECT_EQ(log, "going down");
    co_await supervisor->StopAll();
  });
}

TEST(Supervisor, RefusesAProgramThatIsNotThere) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    ServiceSpec spec = w.Shell("a", "");
    spec.argv = {"/nonexistent/program"};
    auto started = supervisor->Start(spec);
    EXPECT_FALSE(started);
    EXPECT_TRUE(supervisor->List().empty());
    co_await supervisor->StopAll();
  });
}

TEST(Supervisor, StopsPhaseByPhaseAndKillsWhatIgnoresIt) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    ServiceSpec topology = w.Shell("topology", "exec sleep 1000");
    topology.stop_phase = StopPhase::kTopology;
    ServiceSpec admin = w.Shell("admin", "exec sleep 1000");
    admin.stop_phase = StopPhase::kAdmin;
    ServiceSpec stubborn = w.Shell("stubborn", "trap '' TERM; while :; do sleep 1; done");
    auto first = supervisor->Start(topology);
    auto second = supervisor->Start(admin);
    auto third = supervisor->Start(stubborn);
    EXPECT_TRUE(first && second && third);
    auto state = ReadServiceState(stubborn.state_file);
    co_await supervisor->StopAll();
    EXPECT_EQ(w.stopped(), (std::vector<std::string>{"stubborn", "admin", "topology"}));
    EXPECT_TRUE(state && !state->IsRunning());
    auto late = supervisor->Start(admin);
    EXPECT_FALSE(late);
  });
}

TEST(Supervisor, AdoptsWhatADeadSupervisorLeftRunning) {
  World().Run([](World& w) -> Awaitable<void> {
    const ServiceSpec spec = w.Shell("a", "exec sleep 1000");
    auto first = w.NewSupervisor();
    auto started = first->Start(spec);
    EXPECT_TRUE(started);
    co_await first->Detach();
    first.reset();

    auto second = w.NewSupervisor();
    auto adopted = second->Start(spec);
    EXPECT_TRUE(adopted && adopted->was_running);
    EXPECT_EQ(adopted->pid, started->pid);
    // An adopted service is brought back as well.
    ::kill(adopted->pid, SIGKILL);
    auto back = [&] { return second->List()[0].running && second->List()[0].restarts == 1; };
    EXPECT_TRUE(co_await w.Eventually(back));
    co_await second->StopAll();
  });
}

TEST(Supervisor, NeverTouchesAStrangerThatGotTheOldPid) {
  World().Run([](World& w) -> Awaitable<void> {
    const pid_t stranger = ::fork();
    if (stranger == 0) {
      ::execl("/bin/sleep", "sleep", "1000", static_cast<char*>(nullptr));
      ::_exit(1);
    }
    ServiceState state;
    state.spec = w.Shell("a", "exec sleep 1000");
    state.process.pid = stranger;
    state.process.started = "another boot, another time";
    EXPECT_TRUE(WriteServiceState(state));

    auto supervisor = w.NewSupervisor();
    EXPECT_EQ(supervisor->AdoptAll(w.state_dir()), 0);
    auto started = supervisor->Start(state.spec);
    EXPECT_TRUE(started && !started->was_running);
    EXPECT_NE(started->pid, stranger);
    co_await supervisor->StopAll();
    EXPECT_EQ(::kill(stranger, 0), 0);
    ::kill(stranger, SIGKILL);
    ::waitpid(stranger, nullptr, 0);
  });
}

TEST(Supervisor, AdoptAllTakesOverEveryLiveService) {
  World().Run([](World& w) -> Awaitable<void> {
    auto first = w.NewSupervisor();
    auto one = first->Start(w.Shell("a", "exec sleep 1000"));
    auto two = first->Start(w.Shell("b", "exec sleep 1000"));
    EXPECT_TRUE(one && two);
    co_await first->Detach();
    first.reset();
    auto second = w.NewSupervisor();
    EXPECT_EQ(second->AdoptAll(w.state_dir()), 2);
    co_await second->StopAll();
    EXPECT_TRUE(ReadServiceStates(w.state_dir(), nullptr).empty());
  });
}

TEST(SupervisorControl, StartsListsAndShutsDownOverTheSocket) {
  World().Run([](World& w) -> Awaitable<void> {
    auto supervisor = w.NewSupervisor();
    SupervisorServer server(w.reactor(), *supervisor, Logger());
    EXPECT_TRUE(fs::MakeDirectories(w.state_dir()));
    const std::string socket = w.state_dir() + "/s.sock";
    auto listening = server.Listen(socket);
    EXPECT_TRUE(listening);
    auto client = co_await SupervisorClient::Connect(w.reactor(), socket);
    EXPECT_TRUE(client);
    auto started = co_await (*client)->Start(w.Shell("a", "exec sleep 1000"));
    EXPECT_TRUE(started && started->pid > 0);
    ServiceSpec bad = w.Shell("bad", "");
    bad.argv = {"/nonexistent/program"};
    auto refused = co_await (*client)->Start(bad);
    EXPECT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("/nonexistent/program"), std::string::npos);
    auto list = co_await (*client)->List();
    EXPECT_TRUE(list && list->size() == 1);
    EXPECT_EQ((*list)[0].pid, started->pid);
    auto asked = co_await (*client)->Shutdown();
    EXPECT_TRUE(asked);
    EXPECT_TRUE(server.shutdown_requested().IsSet());
    co_await supervisor->StopAll();
    co_await server.Close();
  });
}

TEST(PostgresStop, EndsThePostmasterOfTheDirectoryAndNobodyElse) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    auto folder = fs::TempDir::Create("pgdata");
    EXPECT_TRUE(folder);
    const std::string pid_file = folder->path() + "/postmaster.pid";
    // A postmaster, as far as anybody can see from outside.
    const std::string program = folder->path() + "/postgres";
    std::filesystem::copy_file("/bin/sleep", program);
    SpawnOptions spawn;
    spawn.argv = {program, "1000"};
    spawn.working_directory = folder->path();
    auto postmaster = Process::Spawn(reactor, std::move(spawn));
    EXPECT_TRUE(postmaster);
    if (!postmaster) co_return;
    EXPECT_TRUE(co_await StopPostmaster(reactor, folder->path())) << "there is no file";
    // Our own pid: alive, but working elsewhere.
    EXPECT_TRUE(fs::WriteFileAtomic(pid_file, std::to_string(::getpid()) + "\n"));
    EXPECT_TRUE(co_await StopPostmaster(reactor, folder->path()));
    EXPECT_FALSE(postmaster->exit_status());
    EXPECT_TRUE(fs::WriteFileAtomic(pid_file, std::to_string(postmaster->pid()) + "\n"));
    EXPECT_TRUE(co_await StopPostmaster(reactor, folder->path()));
    auto ended = co_await postmaster->Wait(reactor.clock().After(5s));
    EXPECT_TRUE(ended && ended->signal == SIGINT);
    EXPECT_FALSE(pgdata::FindPostmaster(folder->path()));
  }(reactor));
}

TEST(Readiness, LastLinesAndPorts) {
  auto folder = fs::TempDir::Create("lines");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/log";
  EXPECT_EQ(LastLines(path, 2), "");
  ASSERT_TRUE(fs::WriteFileAtomic(path, "one\ntwo\nthree\n"));
  EXPECT_EQ(LastLines(path, 2), "two\nthree");
  EXPECT_EQ(LastLines(path, 20), "one\ntwo\nthree");

  Reactor reactor;
  TcpAddress any;
  any.host = "127.0.0.1";
  auto listener = Listener::Open(reactor, any);
  ASSERT_TRUE(listener);
  ServiceSpec spec;
  spec.service = "multigateway";
  spec.cell = "zone1";
  spec.ports = {{"pg_port", (*listener)->port()}};
  auto free = CheckPortsFree(spec, "127.0.0.1");
  ASSERT_FALSE(free);
  EXPECT_TRUE(free.error().message().starts_with(
      fmt::format("cannot start multigateway (zone1): port {} (pg_port) is already in use by another process",
                  (*listener)->port())))
      << free.error().message();
  (*listener)->Close();
}

TEST(Programs, VersionsAreParsed) {
  EXPECT_EQ(ParsePostgresMajor("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), 15);
  EXPECT_EQ(ParsePostgresMajor("postgres (PostgreSQL) 18beta1\n"), 18);
  EXPECT_EQ(ParsePostgresMajor("something else"), 0);
  EXPECT_EQ(ParseEtcdVersion("etcd Version: 3.4.23\nGit SHA: x\n"), (std::pair{3, 4}));
  EXPECT_EQ(ParseEtcdVersion("zetcd"), (std::pair{0, 0}));
}

}  // namespace
}  // namespace multigres::provisioner
