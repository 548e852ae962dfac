// The keys, leases and watches of one cell in memory.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/topoclient/connection.h"

namespace multigres::topo {

// A flat ordered map is the tree: a directory exists while a key begins with its path.
class CellStore {
 public:
  struct Node {
    std::string contents;
    Version version = 0;
    Version created = 0;
    std::uint64_t lease = 0;
  };

  // Versions come from `version`, shared by all cells.
  explicit CellStore(Version& version) : version_(version) {}

  const Node* Find(const std::string& key) const;
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  // The first key that begins with `prefix`, or end().
  std::map<std::string, Node>::const_iterator LowerBound(const std::string& prefix) const {
    return nodes_.lower_bound(prefix);
  }
  bool HasPrefix(const std::string& prefix) const;
  // Creates or overwrites, and tells the watches.
  Version Put(const std::string& key, std::string contents, std::uint64_t lease = 0);
  void Erase(const std::string& key);

  // A lease deletes its keys when it ends. `lost` (may be null) is set then.
  void Grant(std::uint64_t lease, Event* lost) { leases_[lease].lost = lost; }
  bool IsLive(std::uint64_t lease) const { return leases_.contains(lease); }
  void Revoke(std::uint64_t lease);
  // The holder has gone without unlocking: nobody renews the lease any more.
  void Orphan(std::uint64_t lease, Clock& clock, Duration ttl);
  void RevokeAll();

  void AddWatch(std::string path, WatchScope scope, std::shared_ptr<Watch::Feed> feed);
  void EndWatches(const Error& error);

  // Pulsed by every change.
  Event& changed() { return changed_; }

 private:
  struct Watcher {
    std::string path;  // of a directory: with a slash at its end
    WatchScope scope;
    std::shared_ptr<Watch::Feed> feed;
  };
  struct Lease {
    Event* lost = nullptr;
    Timer expiry;
    std::set<std::string> keys;
  };
  void Notify(const WatchEvent& event);

  Version& version_;
  std::map<std::string, Node> nodes_;
  std::map<std::uint64_t, Lease> leases_;
  std::list<Watcher> watchers_;
  Event changed_;
};

}  // namespace multigres::topo
