// The poolers that discovery has reported, with what a consumer needs to know about those that vanished.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/topoclient/discovery.h"

namespace multigres::topo {

// LIFECYCLE_SHUTDOWN: gone at once, a tombstone is kept so that a late event doesn't bring it back (a record
// with a later lifecycle_status.updated, of a restarted pooler, does). Record missing:
// kept for a grace, which each contact extends. Sweep() every 30 s forgets what has outlived its grace.
class PoolerCache final : public PoolerObserver {
 public:
  struct Options {
    Duration missing_grace = std::chrono::hours(4);
    Duration tombstone_grace = std::chrono::hours(4);
  };
  static constexpr Duration kSweepInterval = std::chrono::seconds(30);

  struct Entry {
    std::string component_id;
    std::string cell;
    std::shared_ptr<const clustermetadata::MultiPooler> pooler;
    bool record_missing = false;
  };
  class Listener {
   public:
    // New or really changed.
    virtual void OnUpsert(const Entry& entry) = 0;
    virtual void OnGone(const std::string& component_id) = 0;

   protected:
    ~Listener() = default;
  };

  PoolerCache(Clock& clock, Listener& listener, Options options);

  void OnPooler(const std::string& cell, const std::string& component_id,
                const clustermetadata::MultiPooler& pooler) override;
  void OnPoolerGone(const std::string& cell, const std::string& component_id) override;
  void OnCellGone(const std::string& cell) override;

  // The pooler answered: its grace starts anew.
  void Contacted(const std::string& component_id);
  void Sweep();

  // Null if unknown or shut down.
  const Entry* Find(const std::string& component_id) const;
  std::vector<Entry> Live() const;

 private:
  struct State {
    Entry entry;
    bool tombstone = false;
    TimePoint last_seen;  // when the record was there last, or the last contact
  };
  Clock& clock_;
  Listener& listener_;
  Options options_;
  std::map<std::string, State> poolers_;
};

}  // namespace multigres::topo
