#include "common/topoclient/memorytopo/cell_store.h"

namespace multigres::topo {

const CellStore::Node* CellStore::Find(const std::string& key) const {
  const auto it = nodes_.find(key);
  return it == nodes_.end() ? nullptr : &it->second;
}

bool CellStore::HasPrefix(const std::string& prefix) const {
  const auto it = nodes_.lower_bound(prefix);
  return it != nodes_.end() && it->first.starts_with(prefix);
}

Version CellStore::Put(const std::string& key, std::string contents, std::uint64_t lease) {
  Node& node = nodes_[key];
  node.version = ++version_;
  if (node.created == 0) node.created = node.version;
  if (node.lease != 0 && node.lease != lease) leases_[node.lease].keys.erase(key);
  node.lease = lease;
  node.contents = std::move(contents);
  if (lease != 0) leases_[lease].keys.insert(key);
  const Version version = node.version;
  Notify({.path = key, .contents = node.contents, .version = version, .error = std::nullopt});
  return version;
}

void CellStore::Erase(const std::string& key) {
  const auto it = nodes_.find(key);
  if (it == nodes_.end()) return;
  if (const auto lease = leases_.find(it->second.lease); lease != leases_.end()) lease->second.keys.erase(key);
  nodes_.erase(it);
  Notify({.path = key, .contents = {}, .version = ++version_, .error = TopoError(ErrorKind::kNoNode, key)});
}

void CellStore::Revoke(std::uint64_t lease) {
  auto it = leases_.extract(lease);
  if (it.empty()) return;
  const std::set<std::string> keys = std::move(it.mapped().keys);
  if (it.mapped().lost != nullptr) it.mapped().lost->Set();
  for (const std::string& key : keys) Erase(key);
}

void CellStore::Orphan(std::uint64_t lease, Clock& clock, Duration ttl) {
  const auto it = leases_.find(lease);
  if (it == leases_.end()) return;
  it->second.lost = nullptr;
  it->second.expiry = clock.Schedule(ttl, [this, lease] { Revoke(lease); });
}

void CellStore::RevokeAll() {
  while (!leases_.empty()) Revoke(leases_.begin()->first);
}

void CellStore::AddWatch(std::string path, WatchScope scope, std::shared_ptr<Watch::Feed> feed) {
  watchers_.push_back({std::move(path), scope, std::move(feed)});
}

void CellStore::EndWatches(const Error& error) {
  for (Watcher& watcher : watchers_) watcher.feed->End(error);
  watchers_.clear();
}

void CellStore::Notify(const WatchEvent& event) {
  std::erase_if(watchers_, [](const Watcher& watcher) { return watcher.feed->events.closed(); });
  for (Watcher& watcher : watchers_) {
    const bool concerned =
        watcher.scope == WatchScope::kKey ? event.path == watcher.path : event.path.starts_with(watcher.path);
    if (!concerned) continue;
    watcher.feed->events.Push(event);
    if (event.error && watcher.scope == WatchScope::kKey) watcher.feed->events.Close();
  }
  changed_.Pulse();
}

}  // namespace multigres::topo
