// The life cycle of a service's process, and its Environment.
#pragma once

#include <boost/asio/signal_set.hpp>

#include <atomic>
#include <csignal>
#include <optional>

#include "common/rpc/health/health_service.h"
#include "common/rpc/reflection/reflection_service.h"
#include "common/rpc/server.h"
#include "common/servenv/build_info.h"
#include "common/servenv/config_file.h"
#include "common/servenv/process_host.h"
#include "common/servenv/program.h"
#include "common/servenv/telemetry.h"
#include "tools/async/task_group.h"
#include "tools/http/server.h"

namespace multigres::servenv {

// What is known before anything runs.
struct RuntimeOptions {
  ProgramInfo info;
  HttpFlags http;
  GrpcFlags grpc;
  ConfigFileFlags config_flags;
  ConfigFile config;
  std::vector<std::string> unknown_keys;  // of the config file
  TelemetryOptions telemetry;
  std::string hostname;
  std::optional<TestParent> test_parent;
};

class Runtime final : public Environment {
 public:
  // `program` and `flags` are used until Run() returns; the runtime itself must outlive the program, whose members
  // belong to its reactors.
  Runtime(Program& program, FlagSet& flags, Logger logger, RuntimeOptions options);
  ~Runtime() override;

  // The exit code. Writes the error that ended it, if one did, to stderr.
  int Run();

  const std::string& name() const override { return options_.info.name; }
  Reactor& reactor() override { return main_; }
  std::span<Reactor* const> reactors() const override { return reactors_; }
  Logger& logger() override { return logger_; }
  Metrics& metrics() override { return metrics_; }
  Random& random() override { return *random_; }
  http::Router& http() override { return router_; }
  StatusPage& status_page() override { return status_page_; }
  rpc::Server& grpc() override { return *grpc_; }
  bool ServiceMapped(std::string_view service) const override;
  const std::string& hostname() const override { return options_.hostname; }
  std::uint16_t http_port() const override { return http_port_; }
  std::string http_host() const override;
  const GrpcFlags& grpc_flags() const override { return options_.grpc; }
  bool ServesGrpc() const override { return options_.grpc.port != 0 || !options_.grpc.socket_file.empty(); }
  Awaitable<Result<>> CheckOwnGrpc() override;
  void RequestStop(int exit_code) override;

 private:
  Awaitable<void> Main();
  Awaitable<Result<>> Start();
  Result<> ListenHttp();
  Result<> ListenGrpc();
  Result<> ListenPrometheus();
  Awaitable<void> Terminate();
  Awaitable<void> Close();
  // Runs a step of the start; CANCELED if the process is told to stop meanwhile.
  Awaitable<Result<>> UnlessStopped(Awaitable<Result<>> step);
  Awaitable<Result<>> CheckReady();

  Awaitable<void> WatchSignals();
  Awaitable<void> WatchTestParent();
  Awaitable<void> WatchConfigFile();
  Awaitable<void> PrintMetrics();
  void BeginStop(int exit_code, std::string_view reason);
  [[noreturn]] void ExitAtOnce(int exit_code);

  Program& program_;
  FlagSet& flags_;
  RuntimeOptions options_;
  Logger logger_;
  Metrics metrics_;
  std::vector<Metrics::Observer> process_metrics_;
  std::unique_ptr<Random> random_;
  http::Router router_;
  StatusPage status_page_;

  Reactor main_;
  std::unique_ptr<ReactorPool> others_;
  std::vector<Reactor*> reactors_;

  std::optional<PidFile> pid_file_;
  ServiceInfoService service_info_;
  std::unique_ptr<rpc::Server> grpc_;
  std::unique_ptr<rpc::health::HealthService> health_;
  std::unique_ptr<rpc::reflection::ReflectionService> reflection_;
  std::unique_ptr<http::Server> http_;
  std::uint16_t http_port_ = 0;
  http::Router prometheus_router_;
  std::unique_ptr<http::Server> prometheus_;

  bool initialized_ = false;  // Init() was called
  bool started_ = false;
  bool stopping_ = false;
  int exit_code_ = 0;
  std::optional<Error> failure_;
  Event stop_;
  Timer hard_exit_;
  TaskGroup tasks_;
  TaskGroup hooks_;
};

}  // namespace multigres::servenv
