#include "common/consensus/position.h"

#include <gtest/gtest.h>

#include "common/consensus/equivocation.h"
#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

using namespace testing;

const Members kCohort = {"z1_a", "z2_b", "z3_c"};

RulePosition Rules(int decision_term, int decision_subterm, int proposal_term = 0, int proposal_subterm = 0) {
  RulePosition rules = Decided(Rule(decision_term, decision_subterm, "z1_a", kCohort));
  if (proposal_term > 0) *rules.mutable_proposal() = Rule(proposal_term, proposal_subterm, "z2_b", kCohort);
  return rules;
}

TEST(Position, OrdersByHighestRuleThenDecisionThenLsn) {
  const PoolerPosition ascending[] = {
      At(Rules(1, 0), "garbage"),   At(Rules(1, 0), "0/0"),       At(Rules(1, 0), "0/FFFFFFFF"),
      At(Rules(1, 0), "1/0"),       At(Rules(1, 0, 1, 1), "0/1"),  // a higher rule beats a higher LSN
      At(Rules(1, 1), "0/1"),                                      // ... decided
      At(Rules(1, 0, 2, 0), "0/1"),                                // a newer proposal beats any older decision
      At(Rules(1, 1, 2, 0), "0/1"), At(Rules(2, 0), "0/1"),
  };
  for (std::size_t i = 0; i < std::size(ascending); ++i) {
    for (std::size_t j = 0; j < std::size(ascending); ++j) {
      EXPECT_EQ(ComparePositions(ascending[i], ascending[j]), i <=> j) << i << " against " << j;
      EXPECT_EQ(ComparePositions(Numbers(ascending[i]), Numbers(ascending[j])), i <=> j) << i << " against " << j;
    }
  }
}

TEST(Position, HighestRuleIsTheProposalIfThereIsOne) {
  EXPECT_EQ(RuleNumberText(HighestRuleNumber(Rules(1, 2))), "1.2");
  EXPECT_EQ(RuleNumberText(HighestRuleNumber(Rules(1, 2, 3, 0))), "3.0");
  EXPECT_EQ(RulePositionText(Rules(7, 2, 8, 0)), "7.2 (proposed 8.0)");
}

TEST(Equivocation, OneNumberWithTwoContentsIsRefused) {
  const ShardRule base = Rule(2, 0, "z1_a", kCohort);
  ShardRule later = base;
  *later.mutable_creation_time() = ToTimestamp(kNow);
  const ShardRule reordered = Rule(2, 0, "z1_a", {"z3_c", "z1_a", "z2_b"});
  for (const ShardRule& same : {base, later, reordered}) {
    const RulePosition a = Decided(base);
    const RulePosition b = Undecided(Rule(1, 0, "z2_b", kCohort), same);
    const RulePosition* positions[] = {&a, &b};
    EXPECT_TRUE(CheckEquivocation(positions));
  }
  for (const ShardRule& other :
       {Rule(2, 0, "z2_b", kCohort), Rule(2, 0, "z1_a", {"z1_a", "z2_b"}), Rule(2, 0, "z1_a", kCohort, AtLeast(3)),
        Rule(2, 0, "z1_a", kCohort, MultiCellAtLeast(2))}) {
    const RulePosition a = Decided(base);
    const RulePosition b = Undecided(Rule(1, 0, "z2_b", kCohort), other);
    const RulePosition* positions[] = {&a, &b};
    auto checked = CheckEquivocation(positions);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), Code::kDataLoss);
  }
}

}  // namespace
}  // namespace multigres::consensus
