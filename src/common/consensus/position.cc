#include "common/consensus/position.h"

#include "clustermetadata.pb.h"
#include "common/consensus/lsn.h"
#include "common/consensus/rule_number.h"

namespace multigres::consensus {
namespace {

bool Less(const RuleNumber& a, const RuleNumber& b) {
  return Compare(a, b) < 0;
}

std::strong_ordering CompareNumbers(const RuleNumber& decision_a, const RuleNumber& proposal_a,
                                    const RuleNumber& decision_b, const RuleNumber& proposal_b) {
  auto order = Compare(std::max(decision_a, proposal_a, Less), std::max(decision_b, proposal_b, Less));
  if (order == 0) order = Compare(decision_a, decision_b);
  return order != 0 ? order : Compare(proposal_a, proposal_b);
}

template <class LsnHolder>
std::strong_ordering CompareWithLsn(const LsnHolder& a, const LsnHolder& b) {
  auto order = CompareRules(a.position(), b.position());
  return order != 0 ? order : LsnOrLowest(a.lsn()) <=> LsnOrLowest(b.lsn());
}

}  // namespace

std::strong_ordering CompareRules(const RulePosition& a, const RulePosition& b) {
  return CompareNumbers(a.decision().rule_number(), a.proposal().rule_number(), b.decision().rule_number(),
                        b.proposal().rule_number());
}

std::strong_ordering CompareRules(const RuleNumberPosition& a, const RuleNumberPosition& b) {
  return CompareNumbers(a.decision(), a.proposal(), b.decision(), b.proposal());
}

std::strong_ordering ComparePositions(const PoolerPosition& a, const PoolerPosition& b) {
  return CompareWithLsn(a, b);
}

std::strong_ordering ComparePositions(const LsnPosition& a, const LsnPosition& b) {
  return CompareWithLsn(a, b);
}

bool HasProposal(const RulePosition& position) {
  return !IsNoRule(position.proposal().rule_number());
}

const ShardRule& HighestRule(const RulePosition& position) {
  return HasProposal(position) ? position.proposal() : position.decision();
}

RuleNumber HighestRuleNumber(const RulePosition& position) {
  return HighestRule(position).rule_number();
}

RuleNumberPosition Numbers(const RulePosition& position) {
  RuleNumberPosition numbers;
  *numbers.mutable_decision() = position.decision().rule_number();
  if (HasProposal(position)) *numbers.mutable_proposal() = position.proposal().rule_number();
  return numbers;
}

LsnPosition Numbers(const PoolerPosition& position) {
  LsnPosition numbers;
  *numbers.mutable_position() = Numbers(position.position());
  numbers.set_lsn(position.lsn());
  return numbers;
}

const RulePosition* MostAdvanced(std::span<const RulePosition* const> positions) {
  const RulePosition* best = nullptr;
  for (const RulePosition* position : positions) {
    if (best == nullptr || CompareRules(*position, *best) > 0) best = position;
  }
  return best;
}

std::string RulePositionText(const RulePosition& position) {
  std::string decision = RuleNumberText(position.decision().rule_number());
  if (!HasProposal(position)) return decision;
  return fmt::format("{} (proposed {})", decision, RuleNumberText(position.proposal().rule_number()));
}

}  // namespace multigres::consensus
