#include "services/multigateway/poolergateway/pooler_gateway.h"

#include "common/mterrors/conditions.h"
#include "common/topoclient/names.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/poolergateway/grpc_query_service.h"

namespace multigres::gateway::poolergateway {

using queryservice::CallScope;
using queryservice::ExecuteOutcome;
using queryservice::QueryService;
using queryservice::ResultSink;

struct PoolerGateway::Connection {
  Connection(std::string pooler_address, std::unique_ptr<rpc::Channel> pooler_channel)
      : address(std::move(pooler_address)), channel(std::move(pooler_channel)), service(*channel) {}

  std::string address;
  std::unique_ptr<rpc::Channel> channel;
  GrpcQueryService service;
  // While another leads in its place.
  bool superseded = false;
  Timer sweep;
};

namespace {

Awaitable<ExecuteOutcome> Failed(Error error) {
  co_return ExecuteOutcome(std::unexpected(std::move(error)), nullptr);
}

template <class T>
Awaitable<Result<T>> Failing(Error error) {
  co_return std::unexpected(std::move(error));
}

}  // namespace

PoolerGateway::PoolerGateway(Reactor& reactor, PoolerGatewayOptions options)
    : reactor_(reactor),
      options_(std::move(options)),
      random_(SystemRandom()),
      balancer_(options_.load_balancer, *random_),
      tasks_(reactor.executor()) {}

PoolerGateway::~PoolerGateway() = default;

void PoolerGateway::Apply(const RoutingUpdate& update) {
  switch (update.kind) {
    case RoutingUpdate::Kind::kUpsert:
      balancer_.Upsert(update.record);
      Connect(update.record);
      return;
    case RoutingUpdate::Kind::kRemove:
      balancer_.Remove(update.record.id);
      Disconnect(update.record.id);
      return;
    case RoutingUpdate::Kind::kHealth:
      balancer_.SetHealth(update.record.id, update.health);
      FollowLeader(update.record.id);
      return;
  }
}

void PoolerGateway::FollowLeader(const std::string& speaker) {
  const auto entry = balancer_.entries().find(speaker);
  if (entry == balancer_.entries().end()) return;
  const PoolerRecord& record = entry->second.record;
  const ShardTarget shard{record.database, record.table_group, record.shard};
  const std::string* leader = balancer_.PickLeader(shard);
  if (leader == nullptr) return;
  std::string& known = leaders_[record.table_group + "/" + record.shard + "/" + record.database];
  if (known != *leader) {
    if (auto old = connections_.find(known); old != connections_.end()) Supersede(*old->second);
    known = *leader;
    if (auto now = connections_.find(known); now != connections_.end()) {
      now->second->superseded = false;
      now->second->sweep = Timer();
    }
  }
  if (speaker == *leader && balancer_.LeaderServes(shard) && leader_listener_) leader_listener_(shard);
}

void PoolerGateway::Supersede(Connection& connection) {
  connection.superseded = true;
  connection.sweep = reactor_.clock().Schedule(options_.superseded_leader_grace,
                                               [this, &connection] { AbandonCalls(connection, true); });
}

// From then on, for as long as it doesn't lead, a call ends when it has been seen twice.
void PoolerGateway::AbandonCalls(Connection& connection, bool all) {
  if (all) {
    connection.service.calls().AbandonAll();
  } else {
    connection.service.calls().AbandonMarked();
  }
  connection.sweep = reactor_.clock().Schedule(options_.superseded_leader_grace,
                                               [this, &connection] { AbandonCalls(connection, false); });
}

void PoolerGateway::Connect(const PoolerRecord& record) {
  auto known = connections_.find(record.id);
  if (known != connections_.end() && known->second->address == record.address) return;
  Disconnect(record.id);
  auto address = ParseAddress(record.address);
  if (!address) return;  // a record without a usable address: its pooler can't be called
  connections_.emplace(record.id, std::make_unique<Connection>(
                                      record.address, rpc::Channel::Create(reactor_, *address, options_.channel)));
}

void PoolerGateway::Disconnect(std::string_view id) {
  auto it = connections_.find(id);
  if (it == connections_.end()) return;
  it->second->sweep = Timer();
  auto close = [](std::unique_ptr<Connection> connection) -> Awaitable<void> {
    co_await connection->channel->Close();
    co_await connection->service.Stop();
  };
  tasks_.Spawn("close pooler channel", close(std::move(it->second)));
  connections_.erase(it);
}

Awaitable<void> PoolerGateway::Stop() {
  while (!connections_.empty()) Disconnect(connections_.begin()->first);
  co_await tasks_.Join();
}

QueryService* PoolerGateway::ServiceOf(const std::string* id) {
  return id == nullptr ? nullptr : QueryServiceByID(*id);
}

QueryService* PoolerGateway::QueryServiceByID(std::string_view pooler_id) {
  auto it = connections_.find(pooler_id);
  return it == connections_.end() ? nullptr : &it->second->service;
}

QueryService* PoolerGateway::AnyQueryService() {
  return ServiceOf(balancer_.PickAny());
}

Result<QueryService*> PoolerGateway::QueryServiceFor(const ::query::Target& target) {
  ShardTarget shard{target.database(), target.table_group(), target.shard()};
  bool primary = target.pooler_type() == clustermetadata::PRIMARY;
  QueryService* service = ServiceOf(primary ? balancer_.PickLeader(shard) : balancer_.PickReplica(shard));
  if (service != nullptr) return service;
  return std::unexpected(primary ? mterrors::NoWritablePrimary() : mterrors::NoReplica());
}

Awaitable<ExecuteOutcome> PoolerGateway::StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                       CallScope scope, ResultSink& sink) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failed(std::move(service.error()));
  return (*service)->StreamExecute(request, scope, sink);
}

Awaitable<ExecuteOutcome> PoolerGateway::PortalStreamExecute(
    const multipoolerservice::PortalStreamExecuteRequest& request, CallScope scope, ResultSink& sink) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failed(std::move(service.error()));
  return (*service)->PortalStreamExecute(request, scope, sink);
}

Awaitable<Result<multipoolerservice::DescribeResponse>> PoolerGateway::Describe(
    const multipoolerservice::DescribeRequest& request, CallScope scope) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failing<multipoolerservice::DescribeResponse>(std::move(service.error()));
  return (*service)->Describe(request, scope);
}

Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> PoolerGateway::CopyBidiExecute(
    const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope) {
  auto service = QueryServiceFor(initiate.target());
  if (!service) return Failing<std::unique_ptr<queryservice::CopyStream>>(std::move(service.error()));
  return (*service)->CopyBidiExecute(initiate, scope);
}

Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> PoolerGateway::ConcludeTransaction(
    const multipoolerservice::ConcludeTransactionRequest& request, CallScope scope) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failing<multipoolerservice::ConcludeTransactionResponse>(std::move(service.error()));
  return (*service)->ConcludeTransaction(request, scope);
}

Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> PoolerGateway::DiscardTempTables(
    const multipoolerservice::DiscardTempTablesRequest& request, CallScope scope) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failing<multipoolerservice::DiscardTempTablesResponse>(std::move(service.error()));
  return (*service)->DiscardTempTables(request, scope);
}

Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> PoolerGateway::ReleaseReservedConnection(
    const multipoolerservice::ReleaseReservedConnectionRequest& request, CallScope scope) {
  auto service = QueryServiceFor(request.target());
  if (!service) return Failing<multipoolerservice::ReleaseReservedConnectionResponse>(std::move(service.error()));
  return (*service)->ReleaseReservedConnection(request, scope);
}

Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> PoolerGateway::GetAuthCredentials(
    const multipoolerservice::GetAuthCredentialsRequest& request, CallScope scope) {
  ShardTarget shard{request.database(), topo::kDefaultTableGroup, topo::kDefaultShard};
  QueryService* service = balancer_.LeaderServes(shard) ? ServiceOf(balancer_.PickLeader(shard)) : AnyQueryService();
  if (service == nullptr) {
    return Failing<multipoolerservice::GetAuthCredentialsResponse>(mterrors::NoWritablePrimary());
  }
  return service->GetAuthCredentials(request, scope);
}

}  // namespace multigres::gateway::poolergateway
