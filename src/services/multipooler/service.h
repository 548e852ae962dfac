// The multipooler: query serving over its PostgreSQL, and that PostgreSQL's agent in consensus.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/rpc/service.h"
#include "common/servenv/status_page.h"
#include "common/topoclient/store.h"
#include "services/multipooler/config.h"
#include "tools/log/logger.h"

namespace multigres::pooler {

// Where others reach this process: known once it listens.
struct Ports {
  std::string hostname;
  std::int32_t grpc = 0;
  std::int32_t http = 0;
};

// On the store's reactor, the first of `reactors`. Stop() must be awaited before destruction.
class Service {
 public:
  // INVALID_ARGUMENT for a bad --pgctld-addr. `config` is complete (Complete()).
  static Result<std::unique_ptr<Service>> Create(Config config, Ports ports, std::span<Reactor* const> reactors,
                                                 topo::Store& store, Logger logger);
  virtual ~Service() = default;

  // The gRPC services, to be registered before anything listens: query serving (two), manager, consensus.
  virtual rpc::Service& pooler_service() = 0;
  virtual rpc::Service& statement_control() = 0;
  virtual rpc::Service& manager_service() = 0;
  virtual rpc::Service& consensus_service() = 0;

  // An error ends the program: promises that can't be trusted.
  virtual Awaitable<Result<>> Start() = 0;
  // ha.md, section 8.4: drains, stops PostgreSQL, leaves the topology. Then nothing is left but Stop().
  virtual Awaitable<void> Leave() = 0;
  virtual Awaitable<void> Stop() = 0;

  virtual std::string InitializationStatus() const = 0;
  virtual std::vector<servenv::StatusTable> StatusTables() const = 0;
};

}  // namespace multigres::pooler
