// Two rules of one number must be one rule. Where they aren't, consensus was broken: refuse and alert.
#pragma once

#include <span>

#include "common/consensus/types.h"
#include "tools/result/error.h"

namespace multigres::consensus {

// Same leader, cohort (as a set), quorum type and count. Coordinator and creation time are not compared: the rule table
// keeps one coordinator for decision and proposal together and rounds times to microseconds.
bool SameContent(const ShardRule& a, const ShardRule& b);

// DATA_LOSS, naming the number, if any two rules among all decisions and proposals share a number and differ in
// content.
Result<> CheckEquivocation(std::span<const RulePosition* const> positions);

}  // namespace multigres::consensus
