// Rule numbers: (coordinator term, leader subterm), compared lexicographically.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "common/consensus/types.h"

namespace multigres::consensus {

RuleNumber MakeRuleNumber(std::int64_t coordinator_term, std::int64_t leader_subterm);
std::strong_ordering Compare(const RuleNumber& a, const RuleNumber& b);
bool SameNumber(const RuleNumber& a, const RuleNumber& b);
// {0,0}: "no rule", never stored. (The bootstrap row is {0,1}.)
bool IsNoRule(const RuleNumber& number);
// "7.2"
std::string RuleNumberText(const RuleNumber& number);

}  // namespace multigres::consensus
