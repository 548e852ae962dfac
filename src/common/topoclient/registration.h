// How components come into the topology and leave it.
#pragma once

#include <string>

#include "common/topoclient/components.h"
#include "tools/async/task_group.h"

namespace multigres::topo {

// Gateways register synchronously, within 10 s (jitter(50 ms..1 s) between attempts); a failure is fatal to the
// gateway. Picks a random pid_prefix 1..2047 that no gateway of any cell uses, or keeps the one of this id's earlier
// record; picks again if another gateway turns out to have taken the same one meanwhile. Returns the record as written.
Awaitable<Result<Record<clustermetadata::MultiGateway>>> RegisterGateway(Store& store, CallContext context,
                                                                         clustermetadata::MultiGateway gateway);
// Deletes the record if it is still the version that this process wrote. Takes at most 1 s.
Awaitable<Result<>> UnregisterGateway(Store& store, Record<clustermetadata::MultiGateway> record);

// How often a component looks whether its record is still there: a store that was wiped or restored has forgotten it.
inline constexpr Duration kRecordCheckInterval = std::chrono::seconds(30);

// Keeps a registered gateway's record in the store. Its pid_prefix can't change any more: clients have been told.
class GatewayKeeper {
 public:
  GatewayKeeper(Store& store, Record<clustermetadata::MultiGateway> record, Duration interval = kRecordCheckInterval);
  ~GatewayKeeper();
  const clustermetadata::MultiGateway& gateway() const;
  // Ends the keeping and unregisters the gateway (at most 1 s).
  Awaitable<Result<>> Stop();

 private:
  Awaitable<void> Keep();

  Store& store_;
  const Duration interval_;
  std::unique_ptr<Record<clustermetadata::MultiGateway>> record_;
  TaskGroup tasks_;
};

// Registration of an orch: one attempt inside Start(), then in the background with jitter(10 ms..30 s) until it has
// succeeded, 1 s each; and again whenever the record has vanished.
class OrchRegistration {
 public:
  OrchRegistration(Store& store, clustermetadata::MultiOrch orch, Duration interval = kRecordCheckInterval);
  ~OrchRegistration();
  Awaitable<void> Start();
  bool registered() const { return registered_; }
  // "" once registered, else `Failed to register component with topology: <why>`: for the status page.
  const std::string& status() const { return status_; }
  // Deletes the record (at most 1 s); its failure is logged by the caller.
  Awaitable<Result<>> Stop();

 private:
  Awaitable<void> Keep();
  Awaitable<bool> Attempt();

  Store& store_;
  const Duration interval_;
  std::unique_ptr<clustermetadata::MultiOrch> orch_;
  bool registered_ = false;
  std::string status_;
  Jitter jitter_;
  TaskGroup tasks_;
};

// A pooler's record, kept up to date: registered as DISABLED and LIFECYCLE_STARTING, then every change published at
// once, and compared with the store every `interval` (5 s an attempt; nothing is written if the store has the same
// already).
class PoolerPublisher {
 public:
  // Forces serving_status and lifecycle of the first record as above.
  PoolerPublisher(Store& store, clustermetadata::MultiPooler pooler, Duration interval = kRecordCheckInterval);
  ~PoolerPublisher();
  // One attempt to register; further ones go on in the background with jitter(10 ms..30 s), 1 s each.
  Awaitable<void> Start();
  // The wanted record from now on. The id must not change.
  void Publish(const clustermetadata::MultiPooler& pooler);
  const clustermetadata::MultiPooler& wanted() const { return *wanted_; }
  bool registered() const { return registered_; }
  const std::string& status() const { return status_; }
  // Publishes the last record: LIFECYCLE_SHUTDOWN with `reason`, DISABLED, type UNKNOWN, no routing_state (at most 1
  // s). The record stays.
  Awaitable<Result<>> Stop(std::string reason);

 private:
  Awaitable<void> Run();
  Awaitable<Result<>> Write(Duration timeout);

  Store& store_;
  const Duration interval_;
  std::unique_ptr<clustermetadata::MultiPooler> wanted_;
  std::string written_;  // serialized; empty = nothing known
  bool registered_ = false;
  bool dirty_ = true;
  std::string status_;
  Event changed_;
  Jitter jitter_;
  TaskGroup tasks_;
};

}  // namespace multigres::topo
