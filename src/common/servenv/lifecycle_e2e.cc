// A tiny service as a process of its own (this very program, called again) and what its environment promises.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/rpc/channel.h"
#include "common/servenv/program.h"
#include "serviceinfoservice.pb.h"
#include "serviceinfoservice.rpc.h"
#include "test/support/command.h"
#include "tools/fs/file.h"
#include "tools/http/client.h"
#include "tools/result/check.h"

namespace multigres::servenv {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Logs its hooks; --trouble names a step that goes wrong.
class TinyProgram final : public Program {
 public:
  ProgramInfo info() const override {
    return {.name = "tiny", .title = "Tiny <service>", .description = "Does next to nothing."};
  }
  void RegisterFlags(FlagSet& flags) override {
    flags.Add("trouble", &trouble_, "which step goes wrong");
    flags.Add("greeting", &greeting_, "said at /greeting",
              {.env = "MT_GREETING", .on_change = [this] { env_->logger().Info("greeting changed"); }});
    flags.Add("api-password", &password_, "a secret", {.secret = true});
    flags.Add("cell", &cell_, "a cell", {.required = true});
  }
  Awaitable<Result<>> Init(Environment& env) override {
    env_ = &env;
    env.logger().Info("hook", {{"name", "init"}});
    if (trouble_ == "init") co_return Fail(Code::kInvalidArgument, "init went wrong");
    env.status_page().AddRow("Cell", cell_);
    env.http().HandleSync("GET", "/greeting",
                          [this](const http::Request&) { return http::TextResponse(200, greeting_); });
    env.http().HandleSync("POST", "/stop", [this](const http::Request&) {
      env_->RequestStop(7);
      return http::TextResponse(200, "");
    });
    env.http().HandleSync("GET", "/threads", [this](const http::Request&) {
      return http::TextResponse(200, std::to_string(env_->reactors().size()));
    });
    co_return Result<>{};
  }
  Awaitable<Result<>> OnRun() override {
    env_->logger().Info("hook", {{"name", "on_run"}, {"http_port", env_->http_port()}});
    if (trouble_ == "run") co_return Fail(Code::kUnavailable, "run went wrong");
    if (trouble_ == "run-hangs") co_await Event().Wait();
    co_return Result<>{};
  }
  Awaitable<void> OnTerm() override {
    env_->logger().Info("hook", {{"name", "on_term"}});
    if (trouble_ == "term-hangs") co_await Event().Wait();
  }
  Awaitable<void> OnClose() override {
    env_->logger().Info("hook", {{"name", "on_close"}});
    if (trouble_ == "close-hangs") co_await Event().Wait();
  }
  Awaitable<Result<>> CheckReady() override {
    if (!env_->ServesGrpc()) co_return Result<>{};
    co_return co_await env_->CheckOwnGrpc();
  }

 private:
  Environment* env_ = nullptr;
  std::string trouble_;
  std::string greeting_ = "hello";
  std::string password_;
  std::string cell_;
};

// An exited or running TinyProgram. Output goes to a file.
class Service {
 public:
  Service(const fs::TempDir& folder, std::vector<std::string> flags, std::vector<std::string> environment = {},
          bool as_root = false)
      : output_(folder.path() + "/output." + std::to_string(counter_++)) {
    test::Command command;
    command.argv = {folder.path() + "/tiny", "--as-service"};
    command.argv.insert(command.argv.end(), flags.begin(), flags.end());
    environment.push_back("MTDATAROOT=" + folder.path());
    command.environment = std::move(environment);
    command.working_directory = folder.path();
    if (::geteuid() == 0 && !as_root) command.user = {65534, 65534};
    command.output_path = output_;
    command.parent_death_signal = SIGKILL;
    auto pid = test::StartCommand(command);
    CHECK(pid);
    pid_ = *pid;
  }
  ~Service() {
    if (!exit_code_) {
      ::kill(pid_, SIGKILL);
      Wait();
    }
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  std::string Output() const {
    auto text = fs::ReadFile(output_);
    return text ? *text : "";
  }
  // The first record with this message, once it is there.
  nlohmann::json WaitForLog(const std::string& message) {
    nlohmann::json found;
    const bool there = Until([&] {
      for (const auto& record : Log()) {
        if (record.value("msg", "") == message) {
          found = record;
          return true;
        }
      }
      return false;
    });
    EXPECT_TRUE(there) << "no record '" << message << "' in\n" << Output();
    return found;
  }
  std::vector<nlohmann::json> Log() const {
    std::vector<nlohmann::json> records;
    std::istringstream lines(Output());
    for (std::string line; std::getline(lines, line);) {
      auto record = nlohmann::json::parse(line, nullptr, false);
      if (!record.is_discarded()) records.push_back(std::move(record));
    }
    return records;
  }
  std::vector<std::string> Hooks() const {
    std::vector<std::string> names;
    for (const auto& record : Log()) {
      if (record.value("msg", "") == "hook") names.push_back(record["name"]);
    }
    return names;
  }
  std::uint16_t WaitUntilStarted() { return WaitForLog("service successfully started").value("http_port", 0); }
  void Signal(int number) { ::kill(pid_, number); }
  pid_t pid() const { return pid_; }
  // The exit code; 128 + the signal that ended it.
  int Wait() {
    int status = 0;
    const bool ended = Until([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    EXPECT_TRUE(ended) << Output();
    if (!ended) return -1;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return *exit_code_;
  }
  template <class Condition>
  static bool Until(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

 private:
  inline static int counter_ = 0;
  std::string output_;
  pid_t pid_ = 0;
  std::optional<int> exit_code_;
};

Awaitable<void> FetchInto(Reactor& reactor, Address address, http::ClientRequest request, Result<http::Response>& out) {
  out = co_await http::Fetch(reactor, address, std::move(request), reactor.clock().After(seconds(10)));
}

http::Response Get(std::uint16_t port, std::string target, std::string method = "GET") {
  Reactor reactor;
  Result<http::Response> out = Fail(Code::kUnknown, "not run");
  RunOnReactor(reactor, FetchInto(reactor, TcpAddress{"127.0.0.1", port},
                                  {.method = std::move(method), .target = std::move(target)}, out));
  return out ? std::move(*out) : http::Response{.status = 0, .body = out.error().ToString()};
}

class LifecycleTest : public testing::Test {
 protected:
  LifecycleTest() : folder_(MakeFolder()) {
    // The unprivileged user may not be able to read the build folder.
    auto self = fs::ReadFile("/proc/self/exe");
    CHECK(self && fs::WriteFileAtomic(folder_.path() + "/tiny", *self, 0755));
    ::chmod(folder_.path().c_str(), 0777);
  }
  static fs::TempDir MakeFolder() {
    auto folder = fs::TempDir::Create("servenv");
    CHECK(folder);
    return std::move(*folder);
  }
  std::string Path(const std::string& name) { return folder_.path() + "/" + name; }

  fs::TempDir folder_;
};

TEST_F(LifecycleTest, ServesItsPagesAndLeavesInOrderOnSigterm) {
  Service service(folder_, {"--cell=zone1", "--api-password=hunter2", "--pid-file", Path("pid"), "--bind-address",
                            "127.0.0.1", "--reactors=2"});
  const std::uint16_t port = service.WaitUntilStarted();
  EXPECT_EQ(*fs::ReadFile(Path("pid")), std::to_string(service.pid()) + "\n");
  EXPECT_EQ(service.Hooks(), (std::vector<std::string>{"init", "on_run"}));

  EXPECT_EQ(Get(port, "/live").body, "ok");
  EXPECT_EQ(Get(port, "/live").headers.Get("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(Get(port, "/ready").body, "ok");
  EXPECT_EQ(Get(port, "/greeting").body, "hello");
  EXPECT_EQ(Get(port, "/threads").body, "2");
  const http::Response page = Get(port, "/");
  EXPECT_NE(page.body.find("<h1>Tiny &lt;service&gt;</h1>"), std::string::npos) << page.body;
  EXPECT_NE(page.body.find("<tr><th>Cell</th><td>zone1</td></tr>"), std::string::npos);
  EXPECT_EQ(Get(port, "/any/thing/else").body, page.body);
  EXPECT_EQ(Get(port, "/css/status.css").status, 200);
  EXPECT_EQ(Get(port, "/favicon.ico").status, 404);
  EXPECT_EQ(Get(port, "/greeting", "POST").status, 405);
  const auto config = nlohmann::json::parse(Get(port, "/config?format=json").body);
  EXPECT_EQ(config["command_line_flags"]["api-password"], "****");
  EXPECT_EQ(config["config"]["api-password"], "****");
  EXPECT_EQ(config["config"]["onterm-timeout"], 30'000'000'000);
  EXPECT_EQ(config["config"]["cell"], "zone1");
  EXPECT_NE(Get(port, "/config").body.find("<td>zone1</td><td>flag</td>"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(Get(port, "/version").body)["binary"], "tiny");
  const std::string metrics = Get(port, "/metrics").body;
  EXPECT_NE(metrics.find("process_cpu_time_seconds_total{cpu_mode=\"user\"}"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("target_info{service_name=\"tiny\"} 1"), std::string::npos);
  EXPECT_EQ(Get(port, "/debug/pprof/profile").status, 501);
  EXPECT_EQ(Get(port, "/debug/pprof/cmdline").body.find("hunter2"), std::string::npos);

  service.Signal(SIGTERM);
  EXPECT_EQ(service.Wait(), 0) << service.Output();
  EXPECT_EQ(service.Hooks(), (std::vector<std::string>{"init", "on_run", "on_term", "on_close"}));
  EXPECT_FALSE(fs::Exists(Path("pid")));
  EXPECT_EQ(service.Output().find("hunter2"), std::string::npos);
}

TEST_F(LifecycleTest, SigintStopsItAndRequestStopGivesItsExitCode) {
  Service interrupted(folder_, {"--cell=c"});
  interrupted.WaitUntilStarted();
  interrupted.Signal(SIGINT);
  EXPECT_EQ(interrupted.Wait(), 0);
  Service asked(folder_, {"--cell=c"});
  const std::uint16_t port = asked.WaitUntilStarted();
  EXPECT_EQ(Get(port, "/stop", "POST").status, 200);
  EXPECT_EQ(asked.Wait(), 7);
}

Awaitable<void> AskForBuild(Reactor& reactor, Address address, std::string& binary) {
  auto channel = rpc::Channel::Create(reactor, address);
  {
    ::serviceinfo::rpc::ServiceInfoClient client(*channel);
    auto response = co_await client.GetBuildInfo({}, {.deadline = reactor.clock().After(seconds(10))});
    EXPECT_TRUE(response) << response.error().ToString();
    if (response) binary = response->build_info().binary();
  }
  co_await channel->Close();
}

TEST_F(LifecycleTest, ServesGrpcOnASocketAndIsReadyByIt) {
  Service service(folder_, {"--cell=c", "--grpc-socket-file", Path("grpc.sock")});
  const std::uint16_t port = service.WaitUntilStarted();
  std::string binary;
  Reactor reactor;
  RunOnReactor(reactor, AskForBuild(reactor, UnixAddress{Path("grpc.sock")}, binary));
  EXPECT_EQ(binary, "tiny");
  EXPECT_EQ(Get(port, "/ready").status, 200);
  service.Signal(SIGTERM);
  EXPECT_EQ(service.Wait(), 0);
  EXPECT_FALSE(fs::Exists(Path("grpc.sock")));
}

TEST_F(LifecycleTest, HttpAnswersWhileTheServiceIsStillStarting) {
  Service service(folder_, {"--cell=c", "--trouble=run-hangs"});
  std::uint16_t port = 0;
  ASSERT_TRUE(Service::Until([&] {
    for (const auto& record : service.Log()) {
      if (record.value("name", "") == "on_run") port = record["http_port"];
    }
    return port != 0;
  }));
  EXPECT_EQ(Get(port, "/live").status, 200);
  EXPECT_EQ(Get(port, "/ready").status, 503);
  EXPECT_EQ(Get(port, "/ready").body, "not ok");
  service.Signal(SIGTERM);
  EXPECT_EQ(service.Wait(), 0);
  EXPECT_EQ(service.Hooks(), (std::vector<std::string>{"init", "on_run", "on_close"}));
}

TEST_F(LifecycleTest, FailuresToStartAreOneSentenceAndExitCode1) {
  const auto error_of = [&](std::vector<std::string> flags, std::vector<std::string> environment = {}) {
    Service service(folder_, std::move(flags), std::move(environment));
    EXPECT_EQ(service.Wait(), 1);
    const std::string output = service.Output();
    const auto at = output.find("Error: ");
    return at == std::string::npos ? output : output.substr(at, output.find('\n', at) - at);
  };
  EXPECT_EQ(error_of({}), "Error: --cell is required");
  EXPECT_EQ(error_of({"--cell=c", "--wat"}), "Error: unknown flag: --wat");
  EXPECT_EQ(error_of({"--cell=c", "--http-port=x"}),
            "Error: invalid value 'x' for --http-port: not a whole number from 0 to 65535");
  EXPECT_EQ(error_of({"--cell=c", "--grpc-ca=x"}), "Error: --grpc-ca needs --grpc-cert and --grpc-key");
  EXPECT_EQ(error_of({"--cell=c", "--trouble=init"}), "Error: init went wrong");
  EXPECT_EQ(error_of({"--cell=c", "--trouble=run"}), "Error: run went wrong");
  EXPECT_EQ(error_of({"--cell=c"}, {"OTEL_TRACES_EXPORTER=otlp"}),
            "Error: OTEL_TRACES_EXPORTER=otlp: this exporter is not built in; use none");
  EXPECT_EQ(error_of({"--cell=c", "--config-file=/no/such.yaml", "--config-file-not-found-handling=error"}),
            "Error: config file '/no/such.yaml' not found");
}

TEST_F(LifecycleTest, BusyPortIsNamed) {
  Service first(folder_, {"--cell=c", "--bind-address=127.0.0.1"});
  const std::string port = std::to_string(first.WaitUntilStarted());
  Service second(folder_, {"--cell=c", "--bind-address=127.0.0.1", "--http-port", port});
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_NE(second.Output().find("Error: cannot listen on 127.0.0.1:" + port +
                                 ": address already in use; stop what uses it, or give another --http-port\n"),
            std::string::npos)
      << second.Output();
  EXPECT_TRUE(second.Hooks().empty()) << "no service is built for nothing";
}

TEST_F(LifecycleTest, RefusesToRunAsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Service service(folder_, {"--cell=c"}, {}, /*as_root=*/true);
  EXPECT_EQ(service.Wait(), 1);
  EXPECT_NE(service.Output().find("Error: running as root is not permitted\n"), std::string::npos);
}

TEST_F(LifecycleTest, HooksThatHangAreLeftBehind) {
  Service term(folder_, {"--cell=c", "--trouble=term-hangs", "--onterm-timeout=100ms"});
  term.WaitUntilStarted();
  term.Signal(SIGTERM);
  EXPECT_EQ(term.Wait(), 0);
  EXPECT_EQ(term.Hooks().back(), "on_close");
  Service close(folder_, {"--cell=c", "--trouble=close-hangs", "--onclose-timeout=100ms"});
  close.WaitUntilStarted();
  close.Signal(SIGTERM);
  EXPECT_EQ(close.Wait(), 0);
  Service impatient(folder_, {"--cell=c", "--trouble=close-hangs"});
  impatient.WaitUntilStarted();
  impatient.Signal(SIGTERM);
  impatient.WaitForLog("stopping");
  impatient.Signal(SIGTERM);
  EXPECT_EQ(impatient.Wait(), 1);
}

TEST_F(LifecycleTest, FileEnvironmentAndFlagsAreLayeredAndTheFileIsReloaded) {
  const std::string file = Path("tiny.yaml");
  ASSERT_TRUE(fs::WriteFileAtomic(file, "cell: from-file\ngreeting: one\nstray: 1\n"));
  Service service(folder_, {"--config-file", file, "--config-persistence-min-interval=50ms"}, {"MT_GREETING="});
  const std::uint16_t port = service.WaitUntilStarted();
  EXPECT_EQ(Get(port, "/greeting").body, "one");
  EXPECT_EQ(service.WaitForLog("config file has keys that are no flags of this service")["keys"], "stray");
  ASSERT_TRUE(fs::WriteFileAtomic(file, "cell: other\ngreeting: two\n"));
  service.WaitForLog("greeting changed");
  EXPECT_EQ(Get(port, "/greeting").body, "two");
  EXPECT_EQ(nlohmann::json::parse(Get(port, "/config?format=json").body)["config"]["cell"], "from-file");

  Service other(folder_, {"--config-file", file}, {"MT_GREETING=three"});
  EXPECT_EQ(Get(other.WaitUntilStarted(), "/greeting").body, "three");
}

TEST_F(LifecycleTest, TakenPidFileIsLeftAloneAndOnlyLogged) {
  ASSERT_TRUE(fs::WriteFileAtomic(Path("pid"), "1\n"));
  Service service(folder_, {"--cell=c", "--pid-file", Path("pid")});
  service.WaitUntilStarted();
  service.WaitForLog("pid file not written");
  service.Signal(SIGTERM);
  EXPECT_EQ(service.Wait(), 0);
  EXPECT_EQ(*fs::ReadFile(Path("pid")), "1\n");
}

TEST_F(LifecycleTest, EndsWithTheTestThatStartedIt) {
  ASSERT_TRUE(fs::MakeDirectories(Path("data")));
  Service by_folder(folder_, {"--cell=c"}, {"MULTIGRES_TESTDATA_DIR=" + Path("data")});
  Service by_parent(folder_, {"--cell=c"}, {"MULTIGRES_TEST_PARENT_PID=2147483646"});
  by_folder.WaitUntilStarted();
  ASSERT_TRUE(fs::RemoveTree(Path("data")));
  EXPECT_EQ(by_folder.Wait(), 0);
  EXPECT_EQ(by_parent.Wait(), 0);
}

TEST_F(LifecycleTest, PrometheusListenerServesTheMetricsToo) {
  Service service(folder_, {"--cell=c"}, {"OTEL_METRICS_EXPORTER=prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT=0"});
  const std::uint16_t port = service.WaitForLog("metrics exporter listening").value("port", 0);
  EXPECT_NE(Get(port, "/metrics").body.find("process_memory_usage_bytes "), std::string::npos);
  EXPECT_EQ(Get(port, "/config").status, 404);
}

TEST_F(LifecycleTest, LogsInTextToAFileIfAsked) {
  Service service(folder_, {"--cell=c", "--log-format=text", "--log-level=warn", "--log-output", Path("log")});
  ASSERT_TRUE(Service::Until([&] { return fs::Exists(Path("log")); }));
  const bool there = Service::Until([&] {
    auto text = fs::ReadFile(Path("log"));
    return text && text->find(" level=WARN msg=\"config file not found\" detail=\"no config file 'mtconfig'") !=
                       std::string::npos;
  });
  EXPECT_TRUE(there);
  EXPECT_EQ(service.Output(), "");
}

TEST_F(LifecycleTest, HelpAndVersionNeedNothing) {
  Service help(folder_, {"--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_TRUE(help.Output().starts_with("Does next to nothing.\n\nUsage: tiny [flags]")) << help.Output();
  Service version(folder_, {"--version"});
  EXPECT_EQ(version.Wait(), 0);
  EXPECT_NE(version.Output().find("\"binary\":\"tiny\""), std::string::npos) << version.Output();
}

}  // namespace
}  // namespace multigres::servenv

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--as-service") {
    multigres::servenv::TinyProgram program;
    return multigres::servenv::RunProgram(argc - 1, argv + 1, program);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
