#include "test/sim/safety_off.h"

#include <array>

namespace multigres::consensus {

namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(SafetyRule::kCount)> kNames = {
    "promises-only-grow",
    "terms-compared",
    "one-coordinator-per-term",
    "own-rule-revoked",
    "proposal-terms-count",
    "set-primary-obeys-promise",
    "majority",
    "unrecruited-set",
    "decisions-cohort",
    "outgoing-rule-agreed",
    "most-advanced-leads",
    "greatest-lsn",
    "floor",
    "receiver-stopped",
    "replay-awaited",
    "primary-demoted",
    "crashed-primary-starts-as-standby",
    "carried-over",
    "rule-number-asked",
    "both-acknowledge",
    "proposal-acknowledged",
    "decision-before-serving",
    "verified-ack",
    "fence",
    "unique-timelines",
    "rewind-ready",
    "readmit-by-quorum",
    "promise-synced",
};

}  // namespace

std::string_view SafetyRuleName(SafetyRule rule) {
  return kNames[static_cast<std::size_t>(rule)];
}

std::optional<SafetyRule> ParseSafetyRule(std::string_view name) {
  for (SafetyRule rule : AllSafetyRules()) {
    if (SafetyRuleName(rule) == name) return rule;
  }
  return std::nullopt;
}

std::vector<SafetyRule> AllSafetyRules() {
  std::vector<SafetyRule> rules;
  rules.reserve(kNames.size());
  for (std::size_t i = 0; i < kNames.size(); ++i) rules.push_back(static_cast<SafetyRule>(i));
  return rules;
}

}  // namespace multigres::consensus
