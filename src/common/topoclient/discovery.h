// Discovery: the poolers of every cell, as they come and go.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/topoclient/fwd.h"
#include "common/topoclient/store.h"
#include "tools/async/task_group.h"

namespace multigres::topo {

// Called on the store's reactor. `component_id` is the record's key part ("multipooler-zone1-x7k2").
class PoolerObserver {
 public:
  // New or changed (perhaps equal to the last: repetitions are legal).
  virtual void OnPooler(const std::string& cell, const std::string& component_id,
                        const clustermetadata::MultiPooler& pooler) = 0;
  // Its record is gone.
  virtual void OnPoolerGone(const std::string& cell, const std::string& component_id) = 0;
  // The cell's record is gone; the last event about it.
  virtual void OnCellGone(const std::string& cell) = 0;

 protected:
  ~PoolerObserver() = default;
};

// Watches `cells/`, and in each cell `poolers/`. A watch that ends is opened again with jitter(100 ms..30 s), and its
// new snapshot is reconciled: what it lacks is reported as gone. Undecodable records are logged and skipped.
class PoolerDiscovery {
 public:
  PoolerDiscovery(Store& store, PoolerObserver& observer);
  ~PoolerDiscovery();
  // Starts the watching in the background.
  void Start();
  Awaitable<void> Stop();
  // True once the first snapshot of the cells, and of every cell in it that could be read, has been reported.
  bool synced() const;

 private:
  struct CellWatch;
  struct CellsWatch;
  static Awaitable<void> Reconnect(Store& store, std::string cell);
  void Reconcile(const std::set<std::string>& cells);
  void Add(const std::string& cell);
  void Remove(const std::string& cell);

  Store& store_;
  PoolerObserver& observer_;
  bool cells_seen_ = false;
  std::unique_ptr<CellsWatch> cells_watch_;
  std::map<std::string, std::shared_ptr<CellWatch>> cells_;
  std::vector<std::shared_ptr<CellWatch>> closing_;  // cancelled, perhaps still unwinding
  TaskGroup tasks_;
};

// Follows one directory or key for good: opens the watch, gives each snapshot and event to the consumer, opens it again
// with jitter(100 ms..30 s) after its end (reset after 30 s of stability). For use by other watchers.
class WatchConsumer {
 public:
  // The complete state at this moment: whatever was known and isn't in it, is gone.
  virtual void OnSnapshot(const std::vector<WatchEvent>& state) = 0;
  virtual void OnEvent(const WatchEvent& event) = 0;
  // The watch ended or couldn't be opened; it will be opened again. `error` has been logged already.
  virtual void OnBroken(const Error& /*error*/) {}

 protected:
  ~WatchConsumer() = default;
};
// Returns only when its task is cancelled. `cell` is a cell's name or kGlobalCell.
Awaitable<void> FollowWatch(Store& store, std::string cell, std::string path, WatchScope scope,
                            WatchConsumer& consumer);

}  // namespace multigres::topo
