// Switches one safety rule off, for this thread and this object's life.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/consensus/safety.h"

namespace multigres::consensus {

class SafetyRuleOff {
 public:
  explicit SafetyRuleOff(SafetyRule rule) : before_(SafetySwitchboard::off_) {
    SafetySwitchboard::off_ |= std::uint64_t{1} << static_cast<unsigned>(rule);
  }
  ~SafetyRuleOff() { SafetySwitchboard::off_ = before_; }
  SafetyRuleOff(const SafetyRuleOff&) = delete;
  SafetyRuleOff& operator=(const SafetyRuleOff&) = delete;

 private:
  const std::uint64_t before_;
};

// "promises-only-grow"
std::string_view SafetyRuleName(SafetyRule rule);
std::optional<SafetyRule> ParseSafetyRule(std::string_view name);
std::vector<SafetyRule> AllSafetyRules();

}  // namespace multigres::consensus
