#include "services/multigateway/poolergateway/pooler_directory.h"

#include "clustermetadata.pb.h"
#include "common/topoclient/names.h"
#include "services/multigateway/poolergateway/grpc_health_source.h"

namespace multigres::gateway::poolergateway {

PoolerDirectory::PoolerDirectory(Reactor& reactor, std::vector<Subscriber> subscribers, rpc::ChannelOptions channel,
                                 HealthMonitorOptions health, Logger logger)
    : subscribers_(std::move(subscribers)),
      random_(SystemRandom()),
      source_(std::make_unique<GrpcHealthSource>(reactor, std::move(channel))),
      monitor_(
          reactor.executor(), reactor.clock(), *random_, *source_, std::move(logger),
          [this](const std::string& id, const PoolerHealth& health) {
            auto it = poolers_.find(id);
            if (it == poolers_.end() || it->second.health == health) return;
            it->second.health = health;
            RoutingUpdate update{.kind = RoutingUpdate::Kind::kHealth, .health = health};
            update.record.id = id;
            Send(update);
          },
          health) {}

PoolerDirectory::~PoolerDirectory() = default;

void PoolerDirectory::OnPooler(const std::string& cell, const std::string& component_id,
                               const clustermetadata::MultiPooler& pooler) {
  PoolerRecord record{.id = component_id,
                      .cell = cell,
                      .database = pooler.shard_key().database(),
                      .table_group = pooler.shard_key().table_group(),
                      .shard = pooler.shard_key().shard(),
                      .address = topo::GrpcAddress(pooler)};
  Entry& entry = poolers_[component_id];
  if (entry.record == record) return;
  entry.record = record;
  Send({.kind = RoutingUpdate::Kind::kUpsert, .record = record});
  monitor_.Watch(record);
}

void PoolerDirectory::OnPoolerGone(const std::string& /*cell*/, const std::string& component_id) {
  Remove(component_id);
}

void PoolerDirectory::OnCellGone(const std::string& cell) {
  std::vector<std::string> gone;
  for (const auto& [id, entry] : poolers_) {
    if (entry.record.cell == cell) gone.push_back(id);
  }
  for (const std::string& id : gone) Remove(id);
}

void PoolerDirectory::Remove(const std::string& id) {
  auto it = poolers_.find(id);
  if (it == poolers_.end()) return;
  RoutingUpdate update{.kind = RoutingUpdate::Kind::kRemove};
  update.record.id = id;
  poolers_.erase(it);
  monitor_.Unwatch(update.record.id);
  Send(update);
}

void PoolerDirectory::Send(const RoutingUpdate& update) {
  for (const Subscriber& subscriber : subscribers_) {
    subscriber.reactor->Post([gateway = subscriber.gateway, update] { gateway->Apply(update); });
  }
}

Awaitable<void> PoolerDirectory::Stop() {
  co_await monitor_.Stop();
  co_await source_->Stop();
}

}  // namespace multigres::gateway::poolergateway
