#include "services/multigateway/plancache/plan_cache.h"

#include <algorithm>

namespace multigres::gateway::plancache {
namespace {

// A plan, its primitive, and the nodes of list and map, roughly.
constexpr std::size_t kEntryOverheadBytes = 400;

}  // namespace

std::size_t PlanCache::LevelOf(const Entry& entry) const {
  return entry.level <= faded_ ? 0 : std::min<std::size_t>(entry.level - faded_, kLevels - 1);
}

engine::PlanPtr PlanCache::Find(std::string_view key) {
  if (++lookups_since_fading_ > 10 * std::max<std::size_t>(by_key_.size(), 100)) Fade();
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    stats_.misses++;
    return nullptr;
  }
  stats_.hits++;
  Level::iterator entry = found->second;
  std::size_t level = LevelOf(*entry);
  std::size_t raised = std::min(level + 1, kLevels - 1);
  entry->level = faded_ + raised;
  levels_[raised].splice(levels_[raised].end(), levels_[level], entry);
  return entry->plan;
}

void PlanCache::Fade() {
  lookups_since_fading_ = 0;
  faded_++;
  // Level 0 takes level 1 behind its own, and each other level the next one.
  for (std::size_t i = 0; i + 1 < kLevels; i++) levels_[i].splice(levels_[i].end(), levels_[i + 1]);
}

void PlanCache::Put(std::string_view key, engine::PlanPtr plan) {
  std::size_t bytes = key.size() + kEntryOverheadBytes;
  if (bytes > capacity_bytes_ / 8 || by_key_.contains(key)) return;
  while (stats_.bytes + bytes > capacity_bytes_) EvictOne();
  levels_[0].push_back({std::string(key), std::move(plan), bytes, faded_});
  auto entry = std::prev(levels_[0].end());
  by_key_.emplace(entry->key, entry);
  stats_.bytes += bytes;
  stats_.entries++;
}

void PlanCache::EvictOne() {
  auto level = std::ranges::find_if(levels_, [](const Level& each) { return !each.empty(); });
  Entry& victim = level->front();
  by_key_.erase(victim.key);
  stats_.bytes -= victim.bytes;
  stats_.entries--;
  stats_.evictions++;
  level->pop_front();
}

void PlanCache::Clear() {
  by_key_.clear();
  for (Level& level : levels_) level.clear();
  stats_.bytes = 0;
  stats_.entries = 0;
}

}  // namespace multigres::gateway::plancache
