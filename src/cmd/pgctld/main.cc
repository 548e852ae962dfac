// pgctld: starts, stops and rewinds one PostgreSQL, for its pooler by gRPC ("server") or from the command line.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cmd/pgctld/flags.h"
#include "cmd/pgctld/subcommands.h"
#include "common/rpc/server.h"
#include "common/servenv/program.h"
#include "services/pgctld/postgres_controller.h"
#include "services/pgctld/service.h"

namespace multigres::pgctld {
namespace {

class PgctldProgram final : public servenv::Program {
 public:
  servenv::ProgramInfo info() const override {
    return {.name = "pgctld",
            .title = "Pgctld",
            .description = "Controls one PostgreSQL server for its pooler.",
            .default_reactors = 1,
            .status_page_catches_all = false};
  }
  void RegisterFlags(servenv::FlagSet& flags) override { pgctld::RegisterFlags(flags, &flags_); }

  Awaitable<Result<>> Init(servenv::Environment& env) override {
    env_ = &env;
    auto options = Resolve(flags_, [](const char* name) -> const char* { return std::getenv(name); });
    if (!options) co_return std::unexpected(std::move(options.error()));
    controller_ = std::make_unique<PostgresController>(env.reactor(), std::move(*options), env.logger());
    auto prepared = co_await controller_->Prepare();
    if (!prepared) co_return prepared;
    service_ = std::make_unique<Service>(*controller_);
    if (env.ServiceMapped("grpc-pgctld")) env.grpc().Register(*service_);
    env.status_page().AddRow("Data directory", controller_->options().data_dir);
    env.status_page().AddRow("Programs", controller_->options().bin_dir);
    env.status_page().AddRow("Backups", "not built in");
    co_return Result<>();
  }

  Awaitable<Result<>> OnRun() override {
    auto status = co_await controller_->Status();
    if (!status) co_return std::unexpected(std::move(status.error()));
    env_->logger().Info("postgres found", {{"pid", status->pid}, {"status", status->message}});
    co_return Result<>();
  }

  Awaitable<Result<>> CheckReady() override { co_return co_await env_->CheckOwnGrpc(); }

 private:
  Flags flags_;
  servenv::Environment* env_ = nullptr;
  std::unique_ptr<PostgresController> controller_;
  std::unique_ptr<Service> service_;
};

int Usage(std::FILE* to, int exit_code) {
  std::fputs(
      "pgctld controls one PostgreSQL server.\n\n"
      "Usage: pgctld COMMAND [flags]\n\n"
      "  server    serve the PgCtld gRPC service\n"
      "  init      create the data directory\n"
      "  start     start PostgreSQL as a standby\n"
      "  stop      stop PostgreSQL (--mode smart, fast or immediate)\n"
      "  restart   stop PostgreSQL and start it as a standby\n"
      "  status    show what runs\n"
      "  version   show the running server's version\n"
      "  reload    render the configuration anew and reload it\n\n"
      "pgctld COMMAND --help shows the flags.\n",
      to);
  return exit_code;
}

}  // namespace
}  // namespace multigres::pgctld

int main(int argc, char** argv) {
  using namespace multigres::pgctld;
  if (argc < 2) return Usage(stderr, 1);
  const std::string_view command = argv[1];
  if (command == "--help" || command == "-h" || command == "help") return Usage(stdout, 0);
  if (command == "server" || command == "--version") {
    PgctldProgram program;
    const int skip = command == "server" ? 1 : 0;
    return multigres::servenv::RunProgram(argc - skip, argv + skip, program);
  }
  if (IsSubcommand(command)) return RunSubcommand({argv + 1, argv + argc});
  std::fprintf(stderr, "Error: unknown command \"%s\"\n\n", argv[1]);
  return Usage(stderr, 1);
}
