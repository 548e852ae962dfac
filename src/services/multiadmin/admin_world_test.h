// For this module's tests: a topology in memory with two cells, a multiadmin over it, and its servers on loopback.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "clustermetadata.pb.h"
#include "common/rpc/server.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/memorytopo/memory_topo.h"
#include "services/multiadmin/service.h"
#include "tools/http/client.h"
#include "tools/http/server.h"
#include "tools/random/random.h"

namespace multigres::admin {

class AdminWorld {
 public:
  explicit AdminWorld(Reactor& reactor)
      : reactor(reactor), topo(reactor.clock()), random_(SeededRandom(1)), tasks(reactor.executor()) {
    store = *topo::Store::Create(reactor, topo.NewBackend(), *random_, Logger(),
                                 {.global_addresses = {"memory"}, .global_root = "/global"});
    service = std::make_unique<Service>(*store, rpc::ChannelOptions(), Logger());
    service->RegisterPages(router);
    service->RegisterApi(router);
  }

  Awaitable<void> Start() {
    http_server = http::Server::Create(reactor, router, Logger());
    http_port = *http_server->Listen(TcpAddress{"127.0.0.1", 0});
    service->SetHttpAddress({"127.0.0.1", http_port}, {"admin.example", 15000});
    grpc_server = rpc::Server::Create({&reactor});
    grpc_server->Register(service->grpc());
    grpc_port = *grpc_server->Listen(TcpAddress{"127.0.0.1", 0});
    co_return;
  }
  Awaitable<void> Stop() {
    co_await http_server->Stop(reactor.clock().After(std::chrono::milliseconds(500)));
    co_await grpc_server->Stop(reactor.clock().After(std::chrono::milliseconds(500)));
    co_await tasks.CancelAndJoin();
    co_await service->Stop();
    co_await store->Close();
  }

  Awaitable<void> AddCell(std::string name, std::string address = "memory") {
    clustermetadata::Cell cell;
    cell.set_name(name);
    cell.add_server_addresses(address);
    cell.set_root("/multigres/" + name);
    EXPECT_TRUE(co_await topo::CreateCell(*store, {}, cell));
  }
  Awaitable<void> AddDatabase(std::string name) {
    clustermetadata::Database database;
    database.set_name(name);
    database.add_cells("zone1");
    database.add_cells("zone2");
    database.mutable_backup_location()->mutable_filesystem()->set_path("/backups");
    auto& policy = *database.mutable_bootstrap_durability_policy();
    policy.set_policy_name("AT_LEAST_2");
    policy.set_policy_version(1);
    policy.set_quorum_type(clustermetadata::QUORUM_TYPE_AT_LEAST_N);
    policy.set_required_count(2);
    EXPECT_TRUE(co_await topo::CreateDatabase(*store, {}, database));
  }
  // M: MultiPooler, MultiGateway or MultiOrch. A port of 0 isn't registered.
  template <class M>
  static M Component(clustermetadata::ID::ComponentType type, std::string cell, std::string name, int http, int grpc) {
    M record;
    record.mutable_id()->set_component(type);
    record.mutable_id()->set_cell(std::move(cell));
    record.mutable_id()->set_name(std::move(name));
    record.set_hostname("127.0.0.1");
    if (http != 0) (*record.mutable_port_map())["http"] = http;
    if (grpc != 0) (*record.mutable_port_map())["grpc"] = grpc;
    return record;
  }
  Awaitable<void> AddGateway(std::string cell, std::string name, int http = 1, int grpc = 2) {
    auto record = Component<clustermetadata::MultiGateway>(clustermetadata::ID::MULTIGATEWAY, cell, name, http, grpc);
    record.set_pid_prefix(7);
    EXPECT_TRUE(co_await topo::CreateComponent(*store, {}, record));
  }
  Awaitable<void> AddOrch(std::string cell, std::string name, int http = 1, int grpc = 2) {
    auto record = Component<clustermetadata::MultiOrch>(clustermetadata::ID::MULTIORCH, cell, name, http, grpc);
    EXPECT_TRUE(co_await topo::CreateComponent(*store, {}, record));
  }
  Awaitable<void> AddPooler(std::string cell, std::string name, std::string database = "postgres",
                            std::string shard = "0-inf", int http = 1, int grpc = 2) {
    auto record = Component<clustermetadata::MultiPooler>(clustermetadata::ID::MULTIPOOLER, cell, name, http, grpc);
    record.mutable_shard_key()->set_database(database);
    record.mutable_shard_key()->set_table_group("default");
    record.mutable_shard_key()->set_shard(shard);
    record.set_serving_status(clustermetadata::DISABLED);
    record.mutable_routing_state()->set_role(clustermetadata::PRIMARY);
    record.mutable_routing_state()->mutable_rule()->set_coordinator_term(std::int64_t{1} << 40);
    EXPECT_TRUE(co_await topo::CreateComponent(*store, {}, record));
  }
  // What the pooler of zone1 says that it is, by the rule of this term.
  Awaitable<void> SetRole(std::string name, clustermetadata::PoolerType role, std::int64_t term) {
    clustermetadata::ID id;
    id.set_component(clustermetadata::ID::MULTIPOOLER);
    id.set_cell("zone1");
    id.set_name(std::move(name));
    const auto set = [role, term](clustermetadata::MultiPooler& record) -> Result<topo::Mutation> {
      record.mutable_routing_state()->set_role(role);
      record.mutable_routing_state()->mutable_rule()->set_coordinator_term(term);
      return topo::Mutation::kWrite;
    };
    EXPECT_TRUE(co_await topo::UpdateComponentFields<clustermetadata::MultiPooler>(*store, {}, id, set));
  }

  Awaitable<http::Response> Send(http::ClientRequest request) {
    auto response = co_await http::Fetch(reactor, TcpAddress{"127.0.0.1", http_port}, std::move(request),
                                         reactor.clock().After(std::chrono::seconds(20)));
    EXPECT_TRUE(response) << (response ? "" : response.error().ToString());
    co_return response ? std::move(*response) : http::Response{.status = 0, .headers = {}, .body = {}};
  }
  Awaitable<http::Response> Get(std::string target) {
    http::ClientRequest request;
    request.target = std::move(target);
    co_return co_await Send(std::move(request));
  }
  Awaitable<http::Response> Post(std::string target, std::string body, std::string type = "application/json") {
    http::ClientRequest request;
    request.method = "POST";
    request.target = std::move(target);
    request.body = std::move(body);
    if (!type.empty()) request.headers.Set("Content-Type", std::move(type));
    co_return co_await Send(std::move(request));
  }

  Reactor& reactor;
  topo::MemoryTopo topo;

 private:
  std::unique_ptr<Random> random_;

 public:
  std::unique_ptr<topo::Store> store;
  http::Router router;
  std::unique_ptr<Service> service;
  std::unique_ptr<http::Server> http_server;
  std::unique_ptr<rpc::Server> grpc_server;
  std::uint16_t http_port = 0;
  std::uint16_t grpc_port = 0;
  TaskGroup tasks;
};

// Runs `body(world)` against started servers.
template <class Body>
void RunAdminWorld(Body body) {
  Reactor reactor;
  AdminWorld world(reactor);
  RunOnReactor(reactor, [](AdminWorld& world, Body& body) -> Awaitable<void> {
    co_await world.Start();
    co_await body(world);
    co_await world.Stop();
  }(world, body));
}

}  // namespace multigres::admin
