// The frame of a service's process: flags, config file, logging, HTTP, gRPC, signals and an orderly end.
//
// A whole main.cc:
//
//   class EchoProgram final : public servenv::Program {
//    public:
//     servenv::ProgramInfo info() const override {
//       return {.name = "echo", .title = "Echo", .description = "Says what it was told."};
//     }
//     void RegisterFlags(servenv::FlagSet& flags) override {
//       flags.SetEnvPrefix("MT_");
//       flags.Add("cell", &config_.cell, "cell this instance runs in", {.required = true});
//       flags.Add("echo-timeout", &config_.timeout, "how long an answer may take");
//       servenv::RegisterTopoFlags(flags, &topo_flags_);
//     }
//     Awaitable<Result<>> Init(servenv::Environment& env) override {
//       auto store = servenv::OpenTopology(env, topo_flags_);
//       if (!store) co_return std::unexpected(std::move(store.error()));
//       store_ = std::move(*store);
//       service_ = std::make_unique<EchoService>(config_, *store_, env.reactor(), env.logger());
//       env.grpc().Register(*service_);
//       env.status_page().AddRow("Cell", config_.cell);
//       env.http().HandleSync("GET", "/debug/echo", [this](const http::Request&) { return service_->Dump(); });
//       co_return Result<>{};
//     }
//     Awaitable<Result<>> OnRun() override { return service_->Start(); }     // HTTP answers already, gRPC not yet
//     Awaitable<Result<>> CheckReady() override { return service_->Ready(); }
//     Awaitable<void> OnTerm() override { return service_->Drain(); }        // while gRPC calls finish
//     Awaitable<void> OnClose() override {                                   // after the last call
//       if (service_) co_await service_->Stop();
//       if (store_) co_await store_->Close();
//     }
//
//    private:
//     EchoConfig config_;
//     servenv::TopoFlags topo_flags_;
//     std::unique_ptr<topo::Store> store_;
//     std::unique_ptr<EchoService> service_;
//   };
//
//   int main(int argc, char** argv) {
//     EchoProgram program;
//     return servenv::RunProgram(argc, argv, program);
//   }
#pragma once

#include <string>

#include "common/servenv/environment.h"
#include "common/servenv/flags.h"

namespace multigres::servenv {

struct ProgramInfo {
  std::string name;                     // "multigateway": of the binary, in logs and metrics
  std::string title;                    // of the status page: "Multigateway"
  std::string description;              // first line of --help
  std::int32_t default_reactors = 1;    // of --reactors; 0 = one a core
  bool status_page_catches_all = true;  // "/" answers every path that has no route (not for pgctld)
};

// A service as its process sees it. All calls come on the main reactor.
class Program {
 public:
  virtual ~Program() = default;
  virtual ProgramInfo info() const = 0;
  virtual void RegisterFlags(FlagSet& flags) = 0;
  // Flags have their values: check them, build the service, register its gRPC services, routes, rows and metrics.
  // HTTP listens, gRPC doesn't. An error becomes `Error: <message>` on stderr and exit code 1, as does OnRun()'s. Once
  // Init() was called OnClose() will be too, however it ended; OnTerm() only if the program had started.
  virtual Awaitable<Result<>> Init(Environment& env) = 0;
  // gRPC listens afterwards (HTTP answers already: probes must while a service registers). Must return: it starts
  // things.
  virtual Awaitable<Result<>> OnRun() = 0;
  // SIGTERM or SIGINT came: runs beside the graceful stop of gRPC, and has --onterm-timeout.
  virtual Awaitable<void> OnTerm() { co_return; }
  // gRPC and HTTP are gone. Has --onclose-timeout, then the process ends without it.
  virtual Awaitable<void> OnClose() { co_return; }
  // GET /ready: 200, or 503 with an error.
  virtual Awaitable<Result<>> CheckReady() { co_return Result<>{}; }
};

// Runs the program until a signal or RequestStop(); gives main()'s exit code. `argv[0]` is skipped: a binary with
// subcommands passes its arguments from the subcommand on.
int RunProgram(int argc, char** argv, Program& program);

}  // namespace multigres::servenv
