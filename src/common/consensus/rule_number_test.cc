#include "common/consensus/rule_number.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"

namespace multigres::consensus {
namespace {

TEST(RuleNumber, ComparesLexicographically) {
  const struct {
    std::int64_t a[2], b[2];
    int expected;
  } cases[] = {
      {{0, 0}, {0, 1}, -1}, {{0, 1}, {1, 0}, -1}, {{1, 9}, {2, 0}, -1}, {{2, 1}, {2, 0}, 1}, {{7, 2}, {7, 2}, 0},
  };
  for (const auto& c : cases) {
    const auto order = Compare(MakeRuleNumber(c.a[0], c.a[1]), MakeRuleNumber(c.b[0], c.b[1]));
    EXPECT_EQ(order < 0 ? -1 : order > 0 ? 1 : 0, c.expected);
  }
}

TEST(RuleNumber, PrintsTermDotSubterm) {
  EXPECT_EQ(RuleNumberText(MakeRuleNumber(7, 2)), "7.2");
}

TEST(RuleNumber, BootstrapRowIsARuleAndZeroIsNone) {
  EXPECT_TRUE(IsNoRule(RuleNumber()));
  EXPECT_FALSE(IsNoRule(MakeRuleNumber(0, 1)));
}

}  // namespace
}  // namespace multigres::consensus
