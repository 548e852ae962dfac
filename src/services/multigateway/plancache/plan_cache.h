// Plans by the shape of their statement's text. One per reactor, so nothing is locked.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::plancache {

struct PlanCacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;
  std::size_t entries = 0;
  std::size_t bytes = 0;
};

// Bounded by bytes; throws out what is used least often and, among that, longest ago. Frequencies fade: after as many
// lookups as ten for each entry, all fall by one level.
class PlanCache {
 public:
  // 0 = keeps nothing.
  explicit PlanCache(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Null if unknown.
  engine::PlanPtr Find(std::string_view key);
  void Put(std::string_view key, engine::PlanPtr plan);
  // Forgets all (a new epoch).
  void Clear();

  bool enabled() const { return capacity_bytes_ != 0; }
  const PlanCacheStats& stats() const { return stats_; }

 private:
  static constexpr std::size_t kLevels = 16;
  struct Entry {
    std::string key;
    engine::PlanPtr plan;
    std::size_t bytes = 0;
    std::uint64_t level = 0;  // counted from the first epoch of fading; minus faded_: its place in levels_
  };
  using Level = std::list<Entry>;  // least recently used first

  std::size_t LevelOf(const Entry& entry) const;
  void Fade();
  void EvictOne();

  std::size_t capacity_bytes_;
  std::array<Level, kLevels> levels_;
  std::unordered_map<std::string_view, Level::iterator> by_key_;
  std::uint64_t faded_ = 0;
  std::uint64_t lookups_since_fading_ = 0;
  PlanCacheStats stats_;
};

}  // namespace multigres::gateway::plancache
