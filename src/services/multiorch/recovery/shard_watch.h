// A shard's view with what this orchestrator remembers about it beyond the poolers' own words.
#pragma once

#include <map>
#include <string>

#include "common/consensus/rule_number.h"
#include "services/multiorch/health/health_board.h"

namespace multigres::orch {

class ShardWatch {
 public:
  ShardWatch(HealthBoard& board, Clock& clock) : board_(board), clock_(clock) {}

  ShardView View(const std::string& shard) const {
    ShardView view = board_.View(shard);
    if (auto at = policies_.find(view.key.database()); at != policies_.end()) view.bootstrap_policy = at->second;
    if (auto at = abandoned_terms_.find(shard); at != abandoned_terms_.end()) view.abandoned_term = at->second;
    if (auto at = rules_.find(shard); at != rules_.end()) {
      view.known_rule = at->second.number;
      view.rule_known_since = at->second.since;
    }
    return view;
  }
  Moment Now() const { return {clock_.Now(), clock_.WallNow()}; }
  HealthBoard& board() { return board_; }

  bool HasPolicy(const std::string& database) const { return policies_.contains(database); }
  void SetPolicy(const std::string& database, const ::clustermetadata::DurabilityPolicy& policy) {
    policies_[database] = policy;
  }
  // The view shows this rule in force: since when is it known here?
  void RecallRule(ShardView& view, const ::clustermetadata::RuleNumber& number) {
    auto [at, fresh] = rules_.try_emplace(ShardName(view.key));
    if (fresh || !consensus::SameNumber(at->second.number, number)) at->second = {number, clock_.Now()};
    view.known_rule = number;
    view.rule_known_since = at->second.since;
  }
  void Abandon(const std::string& shard, std::int64_t term) {
    std::int64_t& highest = abandoned_terms_[shard];
    highest = std::max(highest, term);
  }

 private:
  HealthBoard& board_;
  Clock& clock_;
  std::map<std::string, ::clustermetadata::DurabilityPolicy> policies_;  // by database
  std::map<std::string, std::int64_t> abandoned_terms_;                  // by shard
  struct KnownRule {
    ::clustermetadata::RuleNumber number;
    TimePoint since;
  };
  std::map<std::string, KnownRule> rules_;  // by shard
};

}  // namespace multigres::orch
