#include "services/multipooler/grpcpoolerservice/data_path.h"

#include <map>

#include "tools/result/check.h"

namespace multigres::pooler::grpcpoolerservice {

namespace {

using manager::RoutingRole;
using manager::ServingState;
using manager::ServingStatus;

constexpr Duration kPollInterval = std::chrono::milliseconds(5);

Phase PhaseOf(ServingStatus status) {
  return status == ServingStatus::kServing ? Phase::kServing : Phase::kNotServing;
}

std::size_t AdminShare(std::size_t capacity, std::size_t reactors) {
  return std::max<std::size_t>(1, capacity / reactors);
}

Awaitable<void> SetPhase(Admission& admission, Phase phase, RoutingRole role) {
  admission.Set(phase, role);
  co_return;
}

Awaitable<std::size_t> KillOn(executor::Executor& executor) {
  co_return executor.reservations().KillAll();
}

Awaitable<void> DropOn(ReactorPath& path) {
  path.pools.DropAll();
  co_return;
}

Awaitable<void> StartOn(ReactorPath& path) {
  path.pools.Start();
  path.executor.Start();
  co_return;
}

Awaitable<void> StopOn(ReactorPath& path) {
  co_await path.executor.Stop();
  co_await path.pools.Stop();
}

struct Snapshot {
  std::size_t reserved = 0;
  std::vector<connpool::PoolSet::UserStats> users;
};

Awaitable<Snapshot> SnapshotOf(ReactorPath& path) {
  co_return Snapshot{path.executor.reservations().size(), path.pools.Stats()};
}

}  // namespace

ReactorPath::ReactorPath(Reactor& reactor, std::uint8_t index, const DataPathConfig& config,
                         connpool::PermitBudget& budget, Logger logger, std::size_t admin_limit)
    : reactor(reactor),
      index(index),
      random(SystemRandom()),
      admission(config.shard),
      pools(reactor, config.pools, budget, *random, logger, admin_limit),
      executor(pools, index, config.executor, logger) {}

PoolerDataPath::PoolerDataPath(std::vector<Reactor*> reactors, DataPathConfig config, Logger logger)
    : reactors_(std::move(reactors)), config_(std::move(config)), budget_(config_.pools.global_capacity) {
  CHECK(!reactors_.empty() && reactors_.size() <= 255);
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    paths_.push_back(std::make_unique<ReactorPath>(*reactors_[i], static_cast<std::uint8_t>(i), config_, budget_,
                                                   logger, AdminShare(config_.pools.admin_capacity, reactors_.size())));
  }
}

PoolerDataPath::~PoolerDataPath() = default;

Awaitable<void> PoolerDataPath::Start() {
  for (auto& path : paths_) {
    co_await RunOn<void>(*reactors_[0], path->reactor, [&path = *path] { return StartOn(path); });
  }
}

Awaitable<void> PoolerDataPath::Stop() {
  for (auto& path : paths_) {
    co_await RunOn<void>(*reactors_[0], path->reactor, [&path = *path] { return StopOn(path); });
  }
}

ReactorPath& PoolerDataPath::PathOf(Reactor& reactor) {
  for (auto& path : paths_) {
    if (&path->reactor == &reactor) return *path;
  }
  CHECK(false, "request on a reactor that serves no queries");
  return *paths_.front();
}

Awaitable<void> PoolerDataPath::SetAll(Phase phase, RoutingRole role) {
  for (auto& path : paths_) {
    co_await RunOn<void>(*reactors_[0], path->reactor,
                         [&path = *path, phase, role] { return SetPhase(path.admission, phase, role); });
  }
}

Awaitable<void> PoolerDataPath::Apply(ServingState state) {
  state_ = state;
  co_await SetAll(PhaseOf(state.status), state.role);
}

Awaitable<PoolerDataPath::DrainResult> PoolerDataPath::Drain(ServingState state, Deadline deadline) {
  // Existing work keeps the role that it was admitted under.
  const RoutingRole role = state_.role;
  DrainResult result;
  co_await SetAll(Phase::kDrainReservations, role);
  bool idle = co_await WaitUntilIdle(deadline, true);
  co_await SetAll(Phase::kDrainStatements, role);
  if (idle) idle = co_await WaitUntilIdle(deadline, false);
  if (!idle) result.force_closed = co_await KillReservations();
  co_await Apply(state);
  co_return result;
}

Awaitable<bool> PoolerDataPath::WaitUntilIdle(Deadline deadline, bool reservations_only) {
  Clock& clock = reactors_[0]->clock();
  while (true) {
    const Load load = co_await Measure();
    if ((reservations_only ? load.reserved : load.reserved + load.lent) == 0) co_return true;
    if (deadline.Passed(clock.Now())) co_return false;
    co_await SleepUntil(clock, clock.After(kPollInterval).Earlier(deadline));
  }
}

Awaitable<PoolerDataPath::Load> PoolerDataPath::Measure() {
  Load load;
  for (auto& path : paths_) {
    const auto snapshot =
        co_await RunOn<Snapshot>(*reactors_[0], path->reactor, [&path = *path] { return SnapshotOf(path); });
    load.reserved += snapshot.reserved;
    for (const auto& user : snapshot.users) load.lent += user.stats.lent;
  }
  co_return load;
}

Awaitable<std::size_t> PoolerDataPath::KillReservations() {
  std::size_t killed = 0;
  for (auto& path : paths_) {
    killed +=
        co_await RunOn<std::size_t>(*reactors_[0], path->reactor, [&path = *path] { return KillOn(path.executor); });
  }
  co_return killed;
}

Awaitable<void> PoolerDataPath::Reopen() {
  for (auto& path : paths_) {
    co_await RunOn<void>(*reactors_[0], path->reactor, [&path = *path] { return DropOn(path); });
  }
}

Awaitable<PoolerDataPath::Stats> PoolerDataPath::Collect() {
  Stats stats;
  stats.capacity = budget_.capacity();
  stats.open = budget_.in_use();
  std::map<std::string, connpool::PoolStats> users;
  for (auto& path : paths_) {
    const auto snapshot =
        co_await RunOn<Snapshot>(*reactors_[0], path->reactor, [&path = *path] { return SnapshotOf(path); });
    stats.reserved += snapshot.reserved;
    for (const auto& [user, of_user] : snapshot.users) {
      auto& sum = users[user];
      sum.open += of_user.open;
      sum.idle += of_user.idle;
      sum.lent += of_user.lent;
      sum.waiting += of_user.waiting;
    }
  }
  for (const auto& [user, sum] : users) stats.users.push_back({user, sum});
  co_return stats;
}

}  // namespace multigres::pooler::grpcpoolerservice
