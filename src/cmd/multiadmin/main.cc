// multiadmin: the cluster's topology and status for people and programs, by gRPC, REST and in the browser.
#include <memory>

#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/servenv/program.h"
#include "common/topoclient/store.h"
#include "services/multiadmin/service.h"

namespace multigres::admin {
namespace {

class AdminProgram final : public servenv::Program {
 public:
  servenv::ProgramInfo info() const override {
    return {.name = "multiadmin",
            .title = "Multiadmin",
            .description = "Shows and administers a whole cluster: by gRPC, REST and in the browser."};
  }

  void RegisterFlags(servenv::FlagSet& flags) override {
    servenv::RegisterTopoFlags(flags, &topo_flags_);
    servenv::RegisterPoolerClientFlags(flags, &client_flags_);
  }

  Awaitable<Result<>> Init(servenv::Environment& env) override {
    env_ = &env;
    auto client_flags = servenv::Validate(client_flags_);
    if (!client_flags) co_return client_flags;
    if (env.reactors().size() != 1) {
      co_return Fail(Code::kInvalidArgument, "--reactors must be 1: multiadmin has no use for more");
    }
    auto store = servenv::OpenTopology(env, topo_flags_);
    if (!store) co_return std::unexpected(std::move(store.error()));
    store_ = std::move(*store);
    if (!client_flags_.UsesTls())
      env.logger().Warn("poolers are called in plaintext", {{"flag", "multipooler-grpc-ca"}});
    service_ = std::make_unique<Service>(*store_, servenv::PoolerChannelOptions(client_flags_), env.logger());
    service_->RegisterPages(env.http());
    env.status_page().AddLink("services", "services");
    const bool mapped = env.ServiceMapped("grpc-multiadmin");
    if (mapped && env.ServesGrpc()) {
      env.grpc().Register(service_->grpc());
      service_->RegisterApi(env.http());
      for (const char* list : {"cells", "databases", "gateways", "poolers", "orchs"}) {
        env.status_page().AddLink(std::string("API: ") + list, std::string("api/v1/") + list);
      }
    } else {
      env.status_page().AddRow("Admin API", mapped ? "off: no --grpc-port or --grpc-socket-file"
                                                   : "off: not in --service-map (grpc-multiadmin)");
    }
    co_return Result<>{};
  }

  Awaitable<Result<>> OnRun() override {
    service_->SetHttpAddress({env_->http_host(), env_->http_port()}, {env_->hostname(), env_->http_port()});
    co_return Result<>{};
  }

  Awaitable<void> OnClose() override {
    if (service_ != nullptr) co_await service_->Stop();
    if (store_ != nullptr) co_await store_->Close();
  }

 private:
  servenv::TopoFlags topo_flags_;
  servenv::PoolerClientFlags client_flags_;
  servenv::Environment* env_ = nullptr;
  std::unique_ptr<topo::Store> store_;
  std::unique_ptr<Service> service_;
};

}  // namespace
}  // namespace multigres::admin

int main(int argc, char** argv) {
  multigres::admin::AdminProgram program;
  return multigres::servenv::RunProgram(argc, argv, program);
}
