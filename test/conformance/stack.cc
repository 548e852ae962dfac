#include "test/conformance/stack.h"

#include <fmt/format.h>

#include "common/rpc/server.h"
#include "services/multigateway/front_end.h"
#include "services/multipooler/grpcpoolerservice/data_path.h"
#include "services/multipooler/grpcpoolerservice/pooler_service.h"
#include "services/multipooler/grpcpoolerservice/statement_control.h"
#include "test/support/postgres.h"
#include "tools/async/reactor.h"
#include "tools/result/check.h"

namespace multigres::conformance {
namespace {

pooler::grpcpoolerservice::DataPathConfig DataPathConfigFor(const test::PostgresServer& server) {
  pooler::grpcpoolerservice::DataPathConfig config;
  config.pools.address = UnixAddress{server.socket_path()};
  config.pools.database = "postgres";
  config.pools.admin_user = server.user();
  config.pools.admin_password = server.password();
  config.pools.global_capacity = 10;
  config.shard = {"postgres", "default", "0-inf"};
  return config;
}

clustermetadata::ID PoolerId() {
  clustermetadata::ID id;
  id.set_component(clustermetadata::ID::MULTIPOOLER);
  id.set_cell("zone1");
  id.set_name("p");
  return id;
}

gateway::FrontEnd::Options FrontEndOptions() {
  gateway::FrontEnd::Options options;
  options.poolers.load_balancer.local_cell = "zone1";
  options.plan_cache_bytes = 1 << 20;
  return options;
}

}  // namespace

struct Stack::Parts {
  explicit Parts(std::unique_ptr<test::PostgresServer> postgres)
      : server(std::move(postgres)),
        reactors(1),
        data_path({&reactors[0]}, DataPathConfigFor(*server), Logger()),
        pooler_service({.id = PoolerId()}, data_path, board, Logger()),
        statement_control(data_path),
        rpc_server(rpc::Server::Create({&reactors[0]})),
        front_end(
            reactors[0], FrontEndOptions(), registry,
            [this](gateway::listener::CancelRequest request) { return Cancel(std::move(request)); }, Logger()) {
    folder = test::PostgresServer::MakeTempDir("gateway").value();
  }

  Awaitable<void> Cancel(gateway::listener::CancelRequest request) {
    (void)co_await registry.Cancel(reactors[0], request.process_id, std::move(request.secret_key));
  }

  // Runs on the stack's reactor, and waits for its end.
  void Run(std::move_only_function<Awaitable<bool>()> work) {
    Reactor here;
    auto main = [](Reactor* here, Reactor* there, std::move_only_function<Awaitable<bool>()> work) -> Awaitable<void> {
      co_await RunOn<bool>(*here, *there, std::move(work));
    };
    RunOnReactor(here, main(&here, &reactors[0], std::move(work)));
  }

  Awaitable<bool> Start() {
    co_await data_path.Start();
    pooler::manager::ServingState state{.status = pooler::manager::ServingStatus::kServing,
                                        .role = pooler::manager::RoutingRole::kPrimary,
                                        .coordinator_term = 1};
    co_await data_path.Apply(state);
    board.Publish(state);
    rpc_server->Register(pooler_service);
    rpc_server->Register(statement_control);
    auto port = rpc_server->Listen(TcpAddress{"127.0.0.1", 0});
    CHECK(port.has_value(), "the pooler can't listen");
    using Kind = gateway::poolergateway::RoutingUpdate::Kind;
    gateway::poolergateway::RoutingUpdate update{.kind = Kind::kUpsert};
    update.record = {
        "multipooler-zone1-p", "zone1", "postgres", "default", "0-inf", fmt::format("127.0.0.1:{}", *port)};
    front_end.poolers().Apply(update);
    update.kind = Kind::kHealth;
    update.health = {.live = true, .serving = gateway::poolergateway::Serving::kServing, .primary = true};
    front_end.poolers().Apply(update);
    registry.SetPrefix(1);
    auto listening = front_end.Listen(UnixAddress{folder + "/.s.PGSQL.5432"}, false);
    CHECK(listening.has_value(), "the gateway can't listen");
    co_return true;
  }

  Awaitable<bool> Stop() {
    co_await front_end.Stop();
    co_await rpc_server->Stop(Deadline(reactors[0].clock().Now()));
    co_await data_path.Stop();
    co_return true;
  }

  std::unique_ptr<test::PostgresServer> server;
  std::string folder;
  ReactorPool reactors;
  pooler::manager::ServingBoard board;
  pooler::grpcpoolerservice::PoolerDataPath data_path;
  pooler::grpcpoolerservice::PoolerService pooler_service;
  pooler::grpcpoolerservice::StatementControl statement_control;
  std::unique_ptr<rpc::Server> rpc_server;
  gateway::cancel::CancelRegistry registry;
  gateway::FrontEnd front_end;
};

Stack::Stack() {
  auto server = test::PostgresServer::Start();
  CHECK(server.has_value(), "PostgreSQL can't be started");
  parts_ = std::make_unique<Parts>(std::move(*server));
  parts_->Run([parts = parts_.get()] { return parts->Start(); });
}

Stack::~Stack() {
  parts_->Run([parts = parts_.get()] { return parts->Stop(); });
  parts_->reactors.StopAndJoin();
}

std::string Stack::direct() const {
  return parts_->server->conninfo();
}

std::string Stack::proxied() const {
  return fmt::format("host={} port=5432 user={} password={} dbname=postgres", parts_->folder, parts_->server->user(),
                     parts_->server->password());
}

}  // namespace multigres::conformance
