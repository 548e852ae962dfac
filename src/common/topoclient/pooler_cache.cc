#include "common/topoclient/pooler_cache.h"

#include <google/protobuf/util/message_differencer.h>
#include <google/protobuf/util/time_util.h>

#include "clustermetadata.pb.h"

namespace multigres::topo {

using clustermetadata::MultiPooler;
using google::protobuf::util::MessageDifferencer;

namespace {

// Was `pooler` written after `tombstone`, as far as the records tell?
bool IsLater(const MultiPooler& pooler, const MultiPooler& tombstone) {
  if (!pooler.lifecycle_status().has_updated() || !tombstone.lifecycle_status().has_updated()) return true;
  return pooler.lifecycle_status().updated() > tombstone.lifecycle_status().updated();
}

}  // namespace

PoolerCache::PoolerCache(Clock& clock, Listener& listener, Options options)
    : clock_(clock), listener_(listener), options_(options) {}

void PoolerCache::OnPooler(const std::string& cell, const std::string& component_id, const MultiPooler& pooler) {
  State& state = poolers_[component_id];
  state.last_seen = clock_.Now();
  const bool was_live = state.entry.pooler != nullptr && !state.tombstone;
  if (pooler.lifecycle_status().status() == clustermetadata::LIFECYCLE_SHUTDOWN) {
    state.tombstone = true;
    state.entry.component_id = component_id;
    state.entry.cell = cell;
    state.entry.pooler = std::make_shared<const MultiPooler>(pooler);
    state.entry.record_missing = false;
    if (was_live) listener_.OnGone(component_id);
    return;
  }
  if (state.tombstone && !IsLater(pooler, *state.entry.pooler)) return;
  const bool unchanged = was_live && MessageDifferencer::Equals(*state.entry.pooler, pooler);
  state.tombstone = false;
  state.entry = {component_id, cell, std::make_shared<const MultiPooler>(pooler), false};
  if (!unchanged) listener_.OnUpsert(state.entry);
}

void PoolerCache::OnPoolerGone(const std::string& /*cell*/, const std::string& component_id) {
  const auto it = poolers_.find(component_id);
  if (it == poolers_.end() || it->second.tombstone || it->second.entry.record_missing) return;
  it->second.entry.record_missing = true;
  it->second.last_seen = clock_.Now();
}

void PoolerCache::OnCellGone(const std::string& cell) {
  for (auto& [id, state] : poolers_) {
    if (state.entry.cell == cell) OnPoolerGone(cell, id);
  }
}

void PoolerCache::Contacted(const std::string& component_id) {
  const auto it = poolers_.find(component_id);
  if (it != poolers_.end() && !it->second.tombstone) it->second.last_seen = clock_.Now();
}

void PoolerCache::Sweep() {
  const TimePoint now = clock_.Now();
  std::vector<std::string> gone;
  for (auto it = poolers_.begin(); it != poolers_.end();) {
    const State& state = it->second;
    const Duration grace = state.tombstone ? options_.tombstone_grace : options_.missing_grace;
    const bool perishable = state.tombstone || state.entry.record_missing;
    if (!perishable || now - state.last_seen < grace) {
      ++it;
      continue;
    }
    if (!state.tombstone) gone.push_back(it->first);
    it = poolers_.erase(it);
  }
  for (const std::string& id : gone) listener_.OnGone(id);
}

const PoolerCache::Entry* PoolerCache::Find(const std::string& component_id) const {
  const auto it = poolers_.find(component_id);
  return it == poolers_.end() || it->second.tombstone ? nullptr : &it->second.entry;
}

std::vector<PoolerCache::Entry> PoolerCache::Live() const {
  std::vector<Entry> live;
  for (const auto& [id, state] : poolers_) {
    if (!state.tombstone) live.push_back(state.entry);
  }
  return live;
}

}  // namespace multigres::topo
