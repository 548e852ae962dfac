// What the pooler's data path and its manager tell each other: the serving state goes down, drains are asked for and
// awaited. The seam between query serving and consensus.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "services/multipooler/manager/published.h"
#include "tools/async/reactor.h"
#include "tools/clock/clock.h"

namespace multigres::pooler::manager {

// clustermetadata.PoolerServingStatus, same numbers.
enum class ServingStatus : std::uint8_t { kServing = 0, kDisabled = 1, kDraining = 2 };

// Writability (ha.md, "Routing role"). kUnknown admits no writes.
enum class RoutingRole : std::uint8_t { kUnknown = 0, kPrimary = 1, kReplica = 2 };

struct ServingState {
  // A pooler starts closed: nothing is served until the manager knows its PostgreSQL.
  ServingStatus status = ServingStatus::kDisabled;
  RoutingRole role = RoutingRole::kUnknown;
  // The rule that the role stands on; {0,0} = none.
  std::int64_t coordinator_term = 0;
  std::int64_t leader_subterm = 0;

  friend bool operator==(const ServingState&, const ServingState&) = default;
};

// "PRIMARY SERVING 7.2", for logs and the status page.
std::string ToString(const ServingState& state);

// The published serving state: what health streams tell gateways and the topology record shows. Written by the manager
// on its reactor, read and listened to from any. Not for admission on the hot path: DataPath is told of each change for
// that.
class ServingBoard {
 public:
  using Subscription = Published<ServingState>::Subscription;

  ServingState state() const { return published_.value(); }
  // Manager only. Equal states are not published again.
  void Publish(const ServingState& state);
  // Runs on `reactor`, first soon with the current state, then after each change (the last one always arrives). Call it
  // on that reactor, where the subscription must also be destroyed.
  Subscription Listen(Reactor& reactor, std::function<void(const ServingState&)> callback) {
    return published_.Listen(reactor, std::move(callback));
  }

  // The pooler has left: whoever streams states says the last one and ends, so that the process needn't wait for
  // streams that nobody else would end. Listeners hear the state once more. Manager only.
  void End();
  bool ended() const { return ended_.load(std::memory_order_acquire); }

  // How far this standby is behind its leader, by the leader's heartbeat; 0 = unknown, or not a standby. Any thread.
  std::int64_t replication_lag_ns() const { return lag_ns_.load(std::memory_order_relaxed); }
  void SetReplicationLag(std::int64_t lag_ns) { lag_ns_.store(lag_ns, std::memory_order_relaxed); }

 private:
  Published<ServingState> published_;
  std::atomic<bool> ended_ = false;
  std::atomic<std::int64_t> lag_ns_ = 0;
};

// What the manager asks of query serving. Called on the manager's reactor, one call at a time; implemented by the data
// path over all its reactors.
class DataPath {
 public:
  virtual ~DataPath() = default;

  // Admits requests as `state` says (status kServing, or kDisabled/kDraining without waiting: everything that is open
  // stays, nothing new comes in). Returns once all reactors have switched.
  virtual Awaitable<void> Apply(ServingState state) = 0;

  struct DrainResult {
    std::size_t force_closed = 0;  // reservations killed at the deadline
  };
  // Stops admission (pooler.md section 10: drain 1 until no reservation is left, drain 2 until nothing is lent), waits
  // for both until the deadline, then kills what is left. The role so far stays visible to existing work until the end.
  // `state` is the state after the drain (kDraining or kDisabled). Always comes to an end shortly after the deadline.
  virtual Awaitable<DrainResult> Drain(ServingState state, Deadline deadline) = 0;

  // PostgreSQL was restarted, or is about to be gone: idle connections are dropped, pools dial anew when asked.
  virtual Awaitable<void> Reopen() = 0;

  // How long the manager gives a drain (--connpool-drain-grace-period).
  virtual Duration drain_grace() const = 0;
};

// A data path that serves nobody: for tests, and while there is none.
class NoDataPath final : public DataPath {
 public:
  Awaitable<void> Apply(ServingState) override { co_return; }
  Awaitable<DrainResult> Drain(ServingState, Deadline) override { co_return DrainResult{}; }
  Awaitable<void> Reopen() override { co_return; }
  Duration drain_grace() const override { return std::chrono::seconds(3); }
};

}  // namespace multigres::pooler::manager
