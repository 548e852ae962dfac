// The multigateway: stateless, speaks PostgreSQL to clients and gRPC to poolers.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clustermetadata.pb.h"
#include "common/servenv/status_page.h"
#include "common/topoclient/discovery.h"
#include "common/topoclient/registration.h"
#include "multigatewayservice.rpc.h"
#include "services/multigateway/cancel/cancel_router.h"
#include "services/multigateway/config.h"
#include "services/multigateway/front_end.h"
#include "services/multigateway/poolergateway/pooler_directory.h"

namespace multigres::gateway {

class Service final : public multigatewayservice::rpc::MultiGatewayService {
 public:
  // INVALID_ARGUMENT for TLS files that don't fit and for times and sizes that make no sense. `reactors`: the store's
  // first.
  static Result<std::unique_ptr<Service>> Create(Config config, std::span<Reactor* const> reactors, topo::Store& store,
                                                 rpc::ChannelOptions pooler_channel, Metrics& metrics, Logger logger);
  ~Service() override;

  // Registers `record` (its ports are known now), then listens. An error ends the program.
  Awaitable<Result<>> Start(clustermetadata::MultiGateway record);
  Awaitable<void> Drain(Deadline deadline);
  Awaitable<void> Stop();
  // Registered, and at least one pooler is known.
  Result<> CheckReady() const;

  std::string InitializationStatus() const;
  std::vector<servenv::StatusTable> StatusTables() const;
  std::size_t sessions() const { return registry_.size(); }

  // A CancelRequest that came in at another gateway.
  Awaitable<Result<multigatewayservice::CancelQueryResponse>> CancelQuery(
      rpc::ServerContext& context, const multigatewayservice::CancelQueryRequest& request) override;

 private:
  Service(Config config, std::span<Reactor* const> reactors, topo::Store& store, rpc::ChannelOptions pooler_channel,
          std::shared_ptr<TlsContext> tls, Metrics& metrics, Logger logger);
  Awaitable<Result<>> ListenAll();
  // A CancelRequest of a client of `reactor`.
  Awaitable<void> RouteCancel(Reactor& reactor, listener::CancelRequest request);

  Config config_;
  topo::Store& store_;
  Logger logger_;
  cancel::CancelRegistry registry_;
  cancel::CancelRouter router_;
  buffer::BufferMetrics buffer_metrics_;
  std::vector<std::unique_ptr<FrontEnd>> front_ends_;
  std::unique_ptr<poolergateway::PoolerDirectory> directory_;
  std::unique_ptr<topo::PoolerDiscovery> discovery_;
  std::unique_ptr<topo::GatewayKeeper> registered_;  // null: not registered yet, or no longer
  std::string registration_error_;
};

}  // namespace multigres::gateway
