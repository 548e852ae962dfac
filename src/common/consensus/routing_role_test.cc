#include "common/consensus/routing_role.h"

#include <gtest/gtest.h>

#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

using namespace testing;

TEST(RoutingRole, PrimaryNeedsADecisionThatNothingContradicts) {
  const Members cohort = {"z1_a", "z2_b", "z3_c"};
  const ShardRule mine = Rule(1, 0, "z1_a", cohort);
  const ShardRule theirs = Rule(2, 0, "z2_b", cohort);
  const RulePosition known_mine = Decided(mine);
  const RulePosition known_theirs = Decided(theirs);
  const RulePosition known_theirs_proposed = Undecided(mine, theirs);
  const TermRevocation promise = Promise(2, 1, 0);
  const struct {
    const char* name;
    RulePosition own;
    const TermRevocation* promise;
    const RulePosition* known;
    bool out_of_recovery, primary;
  } cases[] = {
      {"decided and running", Decided(mine), nullptr, nullptr, true, true},
      {"in recovery", Decided(mine), nullptr, nullptr, false, false},
      {"another is decided", Decided(theirs), nullptr, nullptr, true, false},
      {"only proposed", Undecided(Rule(0, 1, "", {}), mine), nullptr, nullptr, true, false},
      {"own cohort change is open", Undecided(mine, Rule(1, 1, "z1_a", cohort)), nullptr, nullptr, true, true},
      {"a proposal names another", Undecided(mine, theirs), nullptr, nullptr, true, false},
      {"revoked", Decided(mine), &promise, nullptr, true, false},
      {"the known rule is the own one", Decided(mine), nullptr, &known_mine, true, true},
      {"a higher known rule names another", Decided(mine), nullptr, &known_theirs, true, false},
      {"a higher known proposal names another", Decided(mine), nullptr, &known_theirs_proposed, true, false},
      {"an older known rule names another", Decided(Rule(3, 0, "z1_a", cohort)), nullptr, &known_theirs, true, true},
      {"bootstrap row", Decided(Rule(0, 1, "", {})), nullptr, nullptr, true, false},
      {"no rule at all", RulePosition(), nullptr, nullptr, true, false},
  };
  for (const auto& c : cases) {
    const Role role = RoutingRole(Member("z1_a"), c.own, c.promise, c.known, c.out_of_recovery);
    EXPECT_EQ(role == Role::kPrimary, c.primary) << c.name;
  }
}

}  // namespace
}  // namespace multigres::consensus
