#include "common/servenv/runtime.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <cstdio>

#include "common/servenv/endpoints.h"
#include "tools/net/socket.h"

namespace multigres::servenv {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

rpc::ServerOptions ToServerOptions(const GrpcFlags& flags) {
  rpc::ServerOptions options{.max_connection_age = flags.max_connection_age,
                             .max_connection_age_grace = flags.max_connection_age_grace,
                             .keepalive_time = flags.keepalive_time,
                             .keepalive_timeout = flags.keepalive_timeout,
                             .min_ping_interval = flags.keepalive_min_time,
                             .permit_pings_without_stream = flags.keepalive_permit_without_stream,
                             .initial_window_bytes = flags.initial_window_size,
                             .initial_connection_window_bytes = flags.initial_conn_window_size};
  if (!flags.cert.empty()) {
    options.tls = rpc::TlsOptions{.cert_file = flags.cert, .key_file = flags.key, .ca_file = flags.ca};
  }
  if (flags.auth_mode == "mtls") {
    for (std::string_view rest = flags.auth_mtls_allowed_substrings; !rest.empty();) {
      const std::string_view item = rest.substr(0, rest.find(':'));
      if (!item.empty()) options.allowed_subject_substrings.emplace_back(item);
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    }
  }
  return options;
}

// The address to reach a listener of ours on.
std::string ReachableHost(const std::string& bind_address) {
  if (bind_address.empty() || bind_address == "0.0.0.0") return "127.0.0.1";
  return bind_address == "::" ? "::1" : bind_address;
}

Address ListenAddress(const std::string& bind_address, std::uint16_t port) {
  return TcpAddress{bind_address.empty() ? "0.0.0.0" : bind_address, port};
}

Error ListenError(Error error, std::string_view flag) {
  return Error(error.code(), error.message() + "; stop what uses it, or give another " + std::string(flag));
}

Awaitable<void> Store(Awaitable<Result<>> work, std::optional<Result<>>& result, Event& done) {
  result = co_await std::move(work);
  done.Set();
}

Awaitable<void> RunHook(Awaitable<void> hook, Event& done) {
  co_await std::move(hook);
  done.Set();
}

}  // namespace

Runtime::Runtime(Program& program, FlagSet& flags, Logger logger, RuntimeOptions options)
    : program_(program),
      flags_(flags),
      options_(std::move(options)),
      logger_(std::move(logger)),
      random_(SystemRandom()),
      status_page_(options_.info.title),
      service_info_(options_.info.name),
      tasks_(main_.executor()),
      hooks_(main_.executor()) {
  std::size_t count = static_cast<std::size_t>(options_.http.reactors);
  if (count == 0) count = std::max(1U, std::thread::hardware_concurrency());
  reactors_.push_back(&main_);
  if (count > 1) {
    others_ = std::make_unique<ReactorPool>(count - 1);
    for (std::size_t i = 0; i < others_->size(); ++i) reactors_.push_back(&(*others_)[i]);
  }
  process_metrics_ = ObserveProcess(metrics_);
  metrics_
      .AddGauge({"target.info", "", "The service this process runs."},
                {{"service.name", options_.telemetry.service_name}})
      .Set(1);
}

Runtime::~Runtime() = default;

int Runtime::Run() {
  RunOnReactor(main_, Main());
  if (others_) others_->StopAndJoin();
  pid_file_.reset();
  return exit_code_;
}

bool Runtime::ServiceMapped(std::string_view service) const {
  bool mapped = service == "grpc-pooler" || service == "grpc-poolermanager" || service == "grpc-consensus" ||
                service == "grpc-pgctld";
  for (const std::string_view entry : options_.http.service_map) {
    if (entry == service) mapped = true;
    if (entry.starts_with('-') && entry.substr(1) == service) mapped = false;
  }
  return mapped;
}

std::string Runtime::http_host() const {
  return ReachableHost(options_.http.bind_address);
}

Awaitable<Result<>> Runtime::CheckOwnGrpc() {
  if (!ServesGrpc()) co_return Fail(Code::kUnavailable, "no gRPC port or socket is configured");
  const GrpcFlags& grpc = options_.grpc;
  Address address = UnixAddress{grpc.socket_file};
  if (grpc.socket_file.empty()) address = TcpAddress{ReachableHost(grpc.bind_address), grpc.port};
  auto stream = co_await Connect(main_, std::move(address), main_.clock().After(milliseconds(500)));
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  (*stream)->Close();
  co_return Result<>{};
}

void Runtime::RequestStop(int exit_code) {
  main_.Post([this, exit_code] { BeginStop(exit_code, "requested by the service"); });
}

void Runtime::BeginStop(int exit_code, std::string_view reason) {
  if (stopping_) return;
  stopping_ = true;
  exit_code_ = exit_code;
  logger_.Info("stopping", {{"reason", reason}});
  stop_.Set();
}

void Runtime::ExitAtOnce(int exit_code) {
  pid_file_.reset();
  std::fflush(nullptr);
  ::_exit(exit_code);
}

Awaitable<void> Runtime::Main() {
  tasks_.Spawn("signals", WatchSignals());
  if (options_.test_parent) tasks_.Spawn("test parent", WatchTestParent());
  auto start = co_await Start();
  if (start) {
    started_ = true;
    logger_.Info("service successfully started", {{"service", name()},
                                                  {"hostname", hostname()},
                                                  {"http_port", http_port_},
                                                  {"grpc_port", options_.grpc.port},
                                                  {"grpc_socket_file", options_.grpc.socket_file},
                                                  {"reactors", reactors_.size()},
                                                  {"pid", ::getpid()}});
    co_await stop_.Wait();
    co_await Terminate();
  } else if (!stopping_) {
    // Told on stderr before the clean-up, which may take its time.
    logger_.Error("service failed to start", {{"error", start.error()}});
    std::fprintf(stderr, "Error: %s\n", start.error().message().c_str());
    exit_code_ = 1;
    stopping_ = true;
  }
  co_await Close();
  co_await tasks_.CancelAndJoin();
}

Awaitable<Result<>> Runtime::Start() {
  if (!options_.http.pid_file.empty()) {
    auto file = PidFile::Create(options_.http.pid_file);
    if (file) {
      pid_file_.emplace(std::move(*file));
    } else {
      logger_.Warn("pid file not written", {{"error", file.error()}});
    }
  }
  grpc_ = rpc::Server::Create(reactors_, ToServerOptions(options_.grpc));
  health_ = std::make_unique<rpc::health::HealthService>(*grpc_, /*serving=*/false);
  reflection_ = std::make_unique<rpc::reflection::ReflectionService>(*grpc_);
  grpc_->Register(service_info_);
  grpc_->Register(*health_);
  grpc_->Register(*reflection_);
  RegisterEndpoints(router_, {.info = options_.info,
                              .flags = flags_,
                              .status_page = status_page_,
                              .metrics = metrics_,
                              .pprof_http = options_.http.pprof_http,
                              .check_ready = [this] { return CheckReady(); }});
  // Before Init(), which may want to tell others the port. Nobody is told yet that we are ready.
  auto http = ListenHttp();
  if (!http) co_return http;
  initialized_ = true;
  auto init = co_await UnlessStopped(program_.Init(*this));
  if (!init) co_return init;
  for (const auto& [text, path] : {std::pair{"configuration", "config"},
                                   {"metrics", "metrics"},
                                   {"version", "version"},
                                   {"live", "live"},
                                   {"ready", "ready"}}) {
    status_page_.AddLink(text, path);
  }
  if (!options_.config.path.empty()) tasks_.Spawn("config file", WatchConfigFile());
  auto exporter = ListenPrometheus();
  if (!exporter) co_return exporter;
  if (options_.telemetry.console_metrics) tasks_.Spawn("console metrics", PrintMetrics());
  auto run = co_await UnlessStopped(program_.OnRun());
  if (!run) co_return run;
  auto grpc = ListenGrpc();
  if (!grpc) co_return grpc;
  health_->SetServing(true);
  co_return Result<>{};
}

Result<> Runtime::ListenHttp() {
  http_ = http::Server::Create(main_, router_, logger_);
  auto port = http_->Listen(ListenAddress(options_.http.bind_address, options_.http.port));
  if (!port) return std::unexpected(ListenError(std::move(port.error()), "--http-port"));
  http_port_ = *port;
  return {};
}

Result<> Runtime::ListenPrometheus() {
  if (!options_.telemetry.prometheus) return {};
  prometheus_router_.HandleSync("GET", "/metrics", [this](const http::Request&) {
    http::Response response{.body = metrics_.Expose()};
    response.headers.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    return response;
  });
  prometheus_ = http::Server::Create(main_, prometheus_router_, logger_);
  auto port = prometheus_->Listen(TcpAddress{options_.telemetry.prometheus_host, options_.telemetry.prometheus_port});
  if (!port) return std::unexpected(ListenError(std::move(port.error()), "OTEL_EXPORTER_PROMETHEUS_PORT"));
  logger_.Info("metrics exporter listening", {{"host", options_.telemetry.prometheus_host}, {"port", *port}});
  return {};
}

Result<> Runtime::ListenGrpc() {
  const GrpcFlags& flags = options_.grpc;
  if (flags.port != 0) {
    auto port = grpc_->Listen(ListenAddress(flags.bind_address, flags.port));
    if (!port) return std::unexpected(ListenError(std::move(port.error()), "--grpc-port"));
  }
  if (!flags.socket_file.empty()) {
    auto socket = grpc_->Listen(UnixAddress{flags.socket_file});
    if (!socket) return std::unexpected(ListenError(std::move(socket.error()), "--grpc-socket-file"));
  }
  return {};
}

Awaitable<Result<>> Runtime::UnlessStopped(Awaitable<Result<>> step) {
  std::optional<Result<>> result;
  TaskGroup group(main_.executor());
  // One event for both: the end of the step doesn't stay set.
  Event wake;
  TaskGroup watch(main_.executor());
  group.Spawn("start", Store(std::move(step), result, wake));
  static constexpr auto kForward = [](Event& stop, Event& wake) -> Awaitable<void> {
    co_await stop.Wait();
    wake.Set();
  };
  watch.Spawn("stop", kForward(stop_, wake));
  co_await wake.Wait();
  co_await group.CancelAndJoin();
  co_await watch.CancelAndJoin();
  if (!result) co_return Fail(Code::kCanceled, "stopped while starting");
  co_return std::move(*result);
}

Awaitable<Result<>> Runtime::CheckReady() {
  if (!started_ || stopping_) co_return Fail(Code::kUnavailable, "not started, or stopping");
  co_return co_await program_.CheckReady();
}

Awaitable<void> Runtime::Terminate() {
  Clock& clock = main_.clock();
  const Deadline lameduck = clock.After(options_.http.lameduck_period);
  const Deadline deadline = clock.After(options_.http.onterm_timeout);
  health_->SetServing(false);
  Event done;
  hooks_.Spawn("on term", RunHook(program_.OnTerm(), done));
  co_await grpc_->Stop(deadline);
  if (!co_await done.WaitUntil(clock, deadline)) {
    logger_.Warn("hook cancelled at its timeout", {{"hook", "on_term"}, {"timeout", options_.http.onterm_timeout}});
  }
  co_await hooks_.CancelAndJoin();
  co_await SleepUntil(clock, lameduck);
}

Awaitable<void> Runtime::Close() {
  Clock& clock = main_.clock();
  if (http_) co_await http_->Stop(clock.After(milliseconds(500)));
  if (prometheus_) co_await prometheus_->Stop(clock.After(milliseconds(100)));
  if (grpc_ && !started_) co_await grpc_->Stop(clock.After(milliseconds(500)));
  if (initialized_) {
    Event done;
    TaskGroup group(main_.executor());
    group.Spawn("on close", RunHook(program_.OnClose(), done));
    if (!co_await done.WaitUntil(clock, clock.After(options_.http.onclose_timeout))) {
      // What is still at work can't be taken apart under it.
      logger_.Error("exiting with a hook unfinished",
                    {{"hook", "on_close"}, {"timeout", options_.http.onclose_timeout}});
      ExitAtOnce(exit_code_);
    }
    co_await group.Join();
  }
  grpc_.reset();
  http_.reset();
  prometheus_.reset();
  if (started_) logger_.Info("service stopped", {{"service", name()}});
}

Awaitable<void> Runtime::WatchSignals() {
  asio::basic_signal_set<Executor> signals(main_.executor(), SIGTERM, SIGINT);
  while (true) {
    const int number = co_await signals.async_wait(kAwait);
    const std::string_view signal = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (stopping_) {
      logger_.Warn("exiting at once", {{"reason", "second signal"}, {"signal", signal}});
      ExitAtOnce(1);
    }
    BeginStop(0, signal);
  }
}

Awaitable<void> Runtime::WatchTestParent() {
  while (!options_.test_parent->IsGone()) co_await SleepFor(main_.clock(), seconds(1));
  BeginStop(0, "the test that started this process is gone");
  hard_exit_ = main_.clock().Schedule(seconds(10), [this] { ExitAtOnce(1); });
}

Awaitable<void> Runtime::WatchConfigFile() {
  const auto stamp = [path = options_.config.path] {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return std::tuple(std::int64_t{0}, std::int64_t{0}, ino_t{0});
    return std::tuple(std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec,
                      std::int64_t{info.st_size}, info.st_ino);
  };
  auto seen = stamp();
  while (true) {
    co_await SleepFor(main_.clock(),
                      std::max<Duration>(options_.config_flags.persistence_min_interval, milliseconds(50)));
    const auto now = stamp();
    if (now == seen || std::get<2>(now) == 0) continue;
    seen = now;
    ConfigFileFlags flags = options_.config_flags;
    flags.file = options_.config.path;
    auto file = LoadConfigFile(flags, [](const char*) -> const char* { return nullptr; });
    if (!file) {
      logger_.Warn("changed config file ignored", {{"error", file.error()}});
      continue;
    }
    auto changed = flags_.Reload(file->values, file->path);
    if (!changed) {
      logger_.Warn("changed config file ignored", {{"error", changed.error()}});
    } else if (!changed->empty()) {
      logger_.Info("config reloaded", {{"flags", fmt::format("{}", fmt::join(*changed, ","))}});
    }
  }
}

Awaitable<void> Runtime::PrintMetrics() {
  while (true) {
    co_await SleepFor(main_.clock(), options_.telemetry.console_interval);
    const std::string text = metrics_.Expose();
    std::fwrite(text.data(), 1, text.size(), stderr);
  }
}

}  // namespace multigres::servenv
