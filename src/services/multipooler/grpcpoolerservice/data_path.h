// Query serving over all reactors of a pooler: what the manager switches on, drains and reopens.
#pragma once

#include <memory>
#include <vector>

#include "services/multipooler/connpool/permit_budget.h"
#include "services/multipooler/executor/executor.h"
#include "services/multipooler/grpcpoolerservice/admission.h"
#include "services/multipooler/grpcpoolerservice/running_statements.h"
#include "services/multipooler/manager/serving.h"

namespace multigres::pooler::grpcpoolerservice {

struct DataPathConfig {
  connpool::PoolConfig pools;
  executor::ExecutorConfig executor;
  ServedShard shard;
  Duration drain_grace = std::chrono::seconds(3);  // 0 = no limit
};

// What one reactor has of it.
struct ReactorPath {
  ReactorPath(Reactor& reactor, std::uint8_t index, const DataPathConfig& config, connpool::PermitBudget& budget,
              Logger logger, std::size_t admin_limit);

  Reactor& reactor;
  const std::uint8_t index;
  std::unique_ptr<Random> random;
  Admission admission;
  RunningStatements running;
  connpool::PoolSet pools;
  executor::Executor executor;
};

// Start() before, Stop() after everything else; both on reactors[0], as the manager's calls.
class PoolerDataPath final : public manager::DataPath {
 public:
  PoolerDataPath(std::vector<Reactor*> reactors, DataPathConfig config, Logger logger);
  ~PoolerDataPath() override;

  Awaitable<void> Start();
  Awaitable<void> Stop();

  Awaitable<void> Apply(manager::ServingState state) override;
  Awaitable<DrainResult> Drain(manager::ServingState state, Deadline deadline) override;
  Awaitable<void> Reopen() override;
  Duration drain_grace() const override { return config_.drain_grace; }

  // The part of the reactor that asks (any of those given).
  ReactorPath& PathOf(Reactor& reactor);
  ReactorPath* PathAt(std::uint8_t index) { return index < paths_.size() ? paths_[index].get() : nullptr; }
  std::size_t size() const { return paths_.size(); }

  struct Stats {
    std::size_t capacity = 0;
    std::size_t open = 0;
    std::size_t reserved = 0;
    std::vector<connpool::PoolSet::UserStats> users;  // summed over the reactors
  };
  Awaitable<Stats> Collect();

 private:
  struct Load {
    std::size_t reserved = 0;
    std::size_t lent = 0;
  };
  Awaitable<void> SetAll(Phase phase, manager::RoutingRole role);
  Awaitable<Load> Measure();
  Awaitable<bool> WaitUntilIdle(Deadline deadline, bool reservations_only);
  Awaitable<std::size_t> KillReservations();

  std::vector<Reactor*> reactors_;
  DataPathConfig config_;
  connpool::PermitBudget budget_;
  std::vector<std::unique_ptr<ReactorPath>> paths_;
  manager::ServingState state_;
};

}  // namespace multigres::pooler::grpcpoolerservice
