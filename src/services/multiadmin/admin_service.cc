#include "services/multiadmin/admin_service.h"

#include <set>

#include "clustermetadata.pb.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/components.h"
#include "common/topoclient/names.h"
#include "multiadminservice.pb.h"
#include "multipoolermanagerdata.pb.h"
#include "services/multiadmin/pooler_connection.h"

namespace multigres::admin {

using clustermetadata::ID;
using clustermetadata::MultiGateway;
using clustermetadata::MultiOrch;
using clustermetadata::MultiPooler;

namespace {

topo::CallContext TopoCall(rpc::ServerContext& context) {
  topo::CallContext call;
  call.deadline = context.deadline();
  call.cancel = &context.cancel();
  return call;
}

// The error of reading `what` `name`: `cell 'zone9' not found`, or the store's own with that context.
std::unexpected<Error> ReadError(Error error, std::string_view what, std::string_view name) {
  if (topo::Is(error, topo::ErrorKind::kNoNode)) {
    return Fail(Code::kNotFound, fmt::format("{} '{}' not found", what, name));
  }
  return std::unexpected(std::move(error).With(fmt::format("{} '{}'", what, name)));
}

// The records of these cells (none = all), each once.
template <class M>
Awaitable<Result<std::vector<topo::Record<M>>>> ListCells(topo::Store& store, topo::CallContext context,
                                                          std::vector<std::string> cells) {
  if (cells.empty()) co_return co_await topo::ListAllComponents<M>(store, context);
  std::vector<topo::Record<M>> all;
  std::set<std::string> seen;
  for (const std::string& cell : cells) {
    if (!seen.insert(cell).second) continue;
    if (auto valid = topo::ValidateCellName(cell); !valid) co_return std::unexpected(std::move(valid.error()));
    auto records = co_await topo::ListComponents<M>(store, context, cell);
    if (!records) co_return ReadError(std::move(records.error()), "cell", cell);
    std::move(records->begin(), records->end(), std::back_inserter(all));
  }
  co_return all;
}

template <class Names>
std::vector<std::string> ToVector(const Names& names) {
  return {names.begin(), names.end()};
}

}  // namespace

AdminService::AdminService(topo::Store& store, rpc::ChannelOptions pooler_channel, Logger logger)
    : store_(store),
      pooler_channel_(std::move(pooler_channel)),
      logger_(std::move(logger)),
      tasks_(store.reactor().executor()) {}

Awaitable<void> AdminService::Stop() {
  co_await tasks_.Join();
}

Awaitable<Result<::multiadmin::GetCellResponse>> AdminService::GetCell(rpc::ServerContext& context,
                                                                       const ::multiadmin::GetCellRequest& request) {
  auto record = co_await topo::GetCell(store_, TopoCall(context), request.name());
  if (!record) co_return ReadError(std::move(record.error()), "cell", request.name());
  ::multiadmin::GetCellResponse response;
  *response.mutable_cell() = std::move(record->value);
  co_return response;
}

Awaitable<Result<::multiadmin::GetDatabaseResponse>> AdminService::GetDatabase(
    rpc::ServerContext& context, const ::multiadmin::GetDatabaseRequest& request) {
  auto record = co_await topo::GetDatabase(store_, TopoCall(context), request.name());
  if (!record) co_return ReadError(std::move(record.error()), "database", request.name());
  ::multiadmin::GetDatabaseResponse response;
  *response.mutable_database() = std::move(record->value);
  co_return response;
}

Awaitable<Result<::multiadmin::GetCellNamesResponse>> AdminService::GetCellNames(
    rpc::ServerContext& context, const ::multiadmin::GetCellNamesRequest& /*request*/) {
  auto names = co_await topo::CellNames(store_, TopoCall(context));
  if (!names) co_return std::unexpected(std::move(names.error()));
  ::multiadmin::GetCellNamesResponse response;
  for (std::string& name : *names) response.add_names(std::move(name));
  co_return response;
}

Awaitable<Result<::multiadmin::GetDatabaseNamesResponse>> AdminService::GetDatabaseNames(
    rpc::ServerContext& context, const ::multiadmin::GetDatabaseNamesRequest& /*request*/) {
  auto names = co_await topo::DatabaseNames(store_, TopoCall(context));
  if (!names) co_return std::unexpected(std::move(names.error()));
  ::multiadmin::GetDatabaseNamesResponse response;
  for (std::string& name : *names) response.add_names(std::move(name));
  co_return response;
}

Awaitable<Result<::multiadmin::GetGatewaysResponse>> AdminService::GetGateways(
    rpc::ServerContext& context, const ::multiadmin::GetGatewaysRequest& request) {
  auto records = co_await ListCells<MultiGateway>(store_, TopoCall(context), ToVector(request.cells()));
  if (!records) co_return std::unexpected(std::move(records.error()));
  ::multiadmin::GetGatewaysResponse response;
  for (auto& record : *records) *response.add_gateways() = std::move(record.value);
  co_return response;
}

Awaitable<Result<::multiadmin::GetPoolersResponse>> AdminService::GetPoolers(
    rpc::ServerContext& context, const ::multiadmin::GetPoolersRequest& request) {
  auto records = co_await ListCells<MultiPooler>(store_, TopoCall(context), ToVector(request.cells()));
  if (!records) co_return std::unexpected(std::move(records.error()));
  ::multiadmin::GetPoolersResponse response;
  for (auto& record : *records) {
    // The two are independent: the request has no table group, so a shard's name alone is a fair question.
    const auto& key = record.value.shard_key();
    if (!request.database().empty() && key.database() != request.database()) continue;
    if (!request.shard().empty() && key.shard() != request.shard()) continue;
    *response.add_poolers() = std::move(record.value);
  }
  co_return response;
}

Awaitable<Result<::multiadmin::GetOrchsResponse>> AdminService::GetOrchs(rpc::ServerContext& context,
                                                                         const ::multiadmin::GetOrchsRequest& request) {
  auto records = co_await ListCells<MultiOrch>(store_, TopoCall(context), ToVector(request.cells()));
  if (!records) co_return std::unexpected(std::move(records.error()));
  ::multiadmin::GetOrchsResponse response;
  for (auto& record : *records) *response.add_orchs() = std::move(record.value);
  co_return response;
}

Awaitable<Result<std::unique_ptr<PoolerConnection>>> AdminService::ReachPooler(rpc::ServerContext& context, ID id) {
  if (id.component() == ID::UNKNOWN) id.set_component(ID::MULTIPOOLER);
  if (id.component() != ID::MULTIPOOLER) {
    co_return Fail(Code::kInvalidArgument, "pooler_id: the component must be MULTIPOOLER");
  }
  if (id.cell().empty() || id.name().empty()) {
    co_return Fail(Code::kInvalidArgument, "pooler_id: cell and name are required");
  }
  if (auto valid = topo::ValidateCellName(id.cell()); !valid) co_return std::unexpected(std::move(valid.error()));
  std::string name = topo::ComponentId(id);
  auto record = co_await topo::GetComponent<MultiPooler>(store_, TopoCall(context), id);
  if (!record) co_return ReadError(std::move(record.error()), "pooler", name);
  const auto port = record->value.port_map().find("grpc");
  if (port == record->value.port_map().end()) {
    co_return Fail(Code::kUnavailable, fmt::format("pooler '{}' is registered without a gRPC port", name));
  }
  TcpAddress address;
  address.host = record->value.hostname();
  address.port = static_cast<std::uint16_t>(port->second);
  co_return std::make_unique<PoolerConnection>(tasks_, std::move(name), store_.reactor(), std::move(address),
                                               pooler_channel_);
}

rpc::CallOptions AdminService::PoolerCall(rpc::ServerContext& context) const {
  rpc::CallOptions options;
  options.deadline =
      store_.reactor().clock().After(store_.options().remote_operation_timeout).Earlier(context.deadline());
  options.cancel = &context.cancel();
  return options;
}

Awaitable<Result<::multiadmin::GetPoolerStatusResponse>> AdminService::GetPoolerStatus(
    rpc::ServerContext& context, const ::multiadmin::GetPoolerStatusRequest& request) {
  auto pooler = co_await ReachPooler(context, request.pooler_id());
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  auto status = co_await (*pooler)->client().Status({}, PoolerCall(context));
  if (!status) co_return Fail(std::move(status), fmt::format("pooler '{}'", (*pooler)->name()));
  ::multiadmin::GetPoolerStatusResponse response;
  if (status->has_status()) *response.mutable_status() = std::move(*status->mutable_status());
  if (status->has_consensus_status()) {
    *response.mutable_consensus_status() = std::move(*status->mutable_consensus_status());
  }
  co_return response;
}

Awaitable<Result<::multiadmin::SetPostgresRestartsEnabledResponse>> AdminService::SetPostgresRestartsEnabled(
    rpc::ServerContext& context, const ::multiadmin::SetPostgresRestartsEnabledRequest& request) {
  auto pooler = co_await ReachPooler(context, request.pooler_id());
  if (!pooler) co_return std::unexpected(std::move(pooler.error()));
  ::multipoolermanagerdata::SetPostgresRestartsEnabledRequest passed_on;
  passed_on.set_enabled(request.enabled());
  auto done = co_await (*pooler)->client().SetPostgresRestartsEnabled(std::move(passed_on), PoolerCall(context));
  if (!done) co_return Fail(std::move(done), fmt::format("pooler '{}'", (*pooler)->name()));
  logger_.Info("postgres restarts set",
               {{"pooler", (*pooler)->name()}, {"enabled", request.enabled()}, {"peer", context.peer()}});
  co_return ::multiadmin::SetPostgresRestartsEnabledResponse();
}

}  // namespace multigres::admin
