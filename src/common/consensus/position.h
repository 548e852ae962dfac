// Where a member stands: its decision, a proposal beyond it, and its LSN; and which of two members is ahead.
#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>

#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// The highest rule of each first, decided or not; then the decisions. A missing rule is {0,0}. An open proposal beats a
// lower-numbered decision (docs/adr/0008-newest-rule-first.md): a quorum may hold it without anybody here knowing.
std::strong_ordering CompareRules(const RulePosition& a, const RulePosition& b);
std::strong_ordering CompareRules(const RuleNumberPosition& a, const RuleNumberPosition& b);
// Rules, then LSN (unparseable = lowest): a higher rule beats a higher LSN.
std::strong_ordering ComparePositions(const PoolerPosition& a, const PoolerPosition& b);
std::strong_ordering ComparePositions(const LsnPosition& a, const LsnPosition& b);

bool HasProposal(const RulePosition& position);
// The proposal if there is one, else the decision: "the highest known rule" of this position, decided or not.
const ShardRule& HighestRule(const RulePosition& position);
RuleNumber HighestRuleNumber(const RulePosition& position);

RuleNumberPosition Numbers(const RulePosition& position);
LsnPosition Numbers(const PoolerPosition& position);

// The most advanced rules of several positions by CompareRules; null if the span is empty.
const RulePosition* MostAdvanced(std::span<const RulePosition* const> positions);

// "7.2", "7.2 (proposed 8.0)"
std::string RulePositionText(const RulePosition& position);

}  // namespace multigres::consensus
