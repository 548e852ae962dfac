#include "services/multiorch/pooler_connections.h"

#include "common/topoclient/names.h"

namespace multigres::orch {

struct PoolerConnections::Entry {
  Entry(Executor executor, std::string address, std::shared_ptr<PoolerConnection> connection)
      : address(std::move(address)), connection(std::move(connection)), tasks(std::move(executor)) {}
  std::string address;
  std::shared_ptr<PoolerConnection> connection;
  TaskGroup tasks;
};

PoolerConnections::PoolerConnections(ConnectionContext context)
    : context_(std::move(context)), ending_(context_.reactor.executor()) {}

PoolerConnections::~PoolerConnections() = default;

void PoolerConnections::Connect(const std::string& member, const ::clustermetadata::MultiPooler& record) {
  std::string text = topo::GrpcAddress(record);
  auto at = entries_.find(member);
  if (at != entries_.end() && at->second->address == text) return at->second->connection->TryNow();
  Disconnect(member);
  auto address = ParseAddress(text);
  if (!address || !record.port_map().contains("grpc")) {
    context_.logger.Warn("pooler has no grpc address", {{"pooler", member}});
    return;
  }
  auto connection = std::make_shared<PoolerConnection>(context_, member, std::move(*address));
  auto entry = std::make_shared<Entry>(context_.reactor.executor(), std::move(text), connection);
  entry->tasks.Spawn("health stream", PoolerConnection::FollowHealth(std::move(connection)));
  entries_.emplace(member, std::move(entry));
}

void PoolerConnections::Disconnect(const std::string& member) {
  auto at = entries_.find(member);
  if (at == entries_.end()) return;
  context_.board.SetConnected(member, false);
  ending_.Spawn("disconnect", End(std::move(at->second)));
  entries_.erase(at);
}

Awaitable<void> PoolerConnections::End(std::shared_ptr<Entry> entry) {
  co_await entry->tasks.CancelAndJoin();
  co_await entry->connection->Close();
}

Awaitable<void> PoolerConnections::Stop() {
  while (!entries_.empty()) Disconnect(entries_.begin()->first);
  co_await ending_.Join();
}

std::shared_ptr<PoolerClient> PoolerConnections::Find(const std::string& member) {
  auto at = entries_.find(member);
  return at == entries_.end() ? nullptr : at->second->connection;
}

}  // namespace multigres::orch
