// Which poolers there are, and how they are, for all reactors of a gateway.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/channel.h"
#include "common/topoclient/discovery.h"
#include "services/multigateway/poolergateway/health_monitor.h"
#include "services/multigateway/poolergateway/pooler_gateway.h"
#include "tools/log/logger.h"

namespace multigres::gateway::poolergateway {

class GrpcHealthSource;

// Lives on the reactor of the topology store, whose PoolerDiscovery it is the observer of. Watches the health of every
// pooler of every cell by one stream each, and sends all changes to the PoolerGateways by message.
class PoolerDirectory final : public topo::PoolerObserver {
 public:
  struct Subscriber {
    Reactor* reactor;
    PoolerGateway* gateway;  // lives until Stop() has returned and its reactor has run what was posted before
  };

  PoolerDirectory(Reactor& reactor, std::vector<Subscriber> subscribers, rpc::ChannelOptions channel,
                  HealthMonitorOptions health, Logger logger);
  ~PoolerDirectory();

  void OnPooler(const std::string& cell, const std::string& component_id,
                const clustermetadata::MultiPooler& pooler) override;
  void OnPoolerGone(const std::string& cell, const std::string& component_id) override;
  void OnCellGone(const std::string& cell) override;

  struct Entry {
    PoolerRecord record;
    PoolerHealth health;
  };
  // By pooler id; for status pages.
  const std::map<std::string, Entry>& poolers() const { return poolers_; }

  // Ends the streams. After the discovery has been stopped.
  Awaitable<void> Stop();

 private:
  void Send(const RoutingUpdate& update);
  void Remove(const std::string& id);

  std::vector<Subscriber> subscribers_;
  std::map<std::string, Entry> poolers_;
  std::unique_ptr<Random> random_;
  std::unique_ptr<GrpcHealthSource> source_;
  HealthMonitor monitor_;
};

}  // namespace multigres::gateway::poolergateway
