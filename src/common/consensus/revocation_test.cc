#include "common/consensus/revocation.h"

#include <gtest/gtest.h>

#include "common/consensus/position.h"
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

TEST(IsRuleRevoked, FollowsTheTable) {
  TermRevocation incomplete = Promise(2, 1, 0);
  incomplete.clear_outgoing_rule();
  const struct {
    const char* name;
    RulePosition position;
    TermRevocation promise;
    bool revoked;
  } cases[] = {
      {"no promise", Rules(1, 0), TermRevocation(), false},
      {"no outgoing rule", Rules(1, 0), incomplete, false},
      {"the outgoing rule itself", Rules(1, 0), Promise(2, 1, 0), true},
      {"an older rule", Rules(1, 0), Promise(3, 2, 0), true},
      {"the bootstrap row", Rules(0, 1), Promise(1, 0, 1), true},
      {"decided in the promised term", Rules(2, 0), Promise(2, 1, 0), false},
      {"decided in a later term", Rules(3, 0), Promise(2, 1, 0), false},
      {"proposed in the promised term", Rules(1, 0, 2, 0), Promise(2, 1, 0), false},
      {"the decision has outrun the promise's outgoing rule", Rules(1, 1), Promise(3, 1, 0), false},
      {"an undecided cohort change of the outgoing rule", Rules(1, 0, 1, 1), Promise(2, 1, 1), true},
      {"a decision beyond it, and a failover's proposal below the term", Rules(1, 1, 2, 0), Promise(3, 1, 0), true},
      {"a failover's proposal, decided beyond the promise", Rules(2, 0), Promise(3, 1, 0), false},
  };
  for (const auto& c : cases) EXPECT_EQ(IsRuleRevoked(c.position, &c.promise), c.revoked) << c.name;
  EXPECT_FALSE(IsRuleRevoked(Rules(1, 0), nullptr));
}

TEST(ValidateRevocation, FollowsTheTable) {
  const PoolerPosition own = At(Rules(1, 0), "0/100");
  TermRevocation no_coordinator = Promise(2, 1, 0);
  no_coordinator.clear_accepted_coordinator_id();
  TermRevocation no_time = Promise(2, 1, 0);
  no_time.clear_coordinator_initiated_at();
  TermRevocation no_outgoing = Promise(2, 1, 0);
  no_outgoing.clear_outgoing_rule();
  const TermRevocation later_attempt = Promise(2, 1, 0, "x", kNow + std::chrono::seconds(1));
  const TermRevocation none;
  const struct {
    const char* name;
    PoolerPosition own;
    TermRevocation stored, incoming;
    bool accepted;
  } cases[] = {
      {"first promise", own, none, Promise(2, 1, 0), true},
      {"exactly again", own, Promise(2, 1, 0), Promise(2, 1, 0), true},
      {"same term, other coordinator", own, Promise(2, 1, 0), Promise(2, 1, 0, "y"), false},
      {"same term, other attempt", own, Promise(2, 1, 0), later_attempt, false},
      {"higher term, other coordinator", own, Promise(2, 1, 0), Promise(3, 1, 0, "y"), true},
      {"lower term", own, Promise(3, 1, 0), Promise(2, 1, 0), false},
      {"no coordinator", own, none, no_coordinator, false},
      {"no initiation time", own, none, no_time, false},
      {"no outgoing rule", own, none, no_outgoing, false},
      {"outgoing rule of the same term", own, none, Promise(1, 1, 0), false},
      {"own rule is ahead of what the coordinator knows", At(Rules(1, 1), "0/100"), none, Promise(2, 1, 0), false},
      {"own rule is of the term already", At(Rules(2, 0), "0/100"), none, Promise(2, 1, 0), false},
      {"own LSN unknown", At(Rules(1, 0), ""), none, Promise(2, 1, 0), false},
      {"first leader of a shard", At(Rules(0, 1), "0/100"), none, Promise(1, 0, 1), true},
  };
  for (const auto& c : cases) {
    auto accepted = ValidateRevocation(c.own, &c.stored, nullptr, c.incoming);
    EXPECT_EQ(accepted.has_value(), c.accepted) << c.name;
    if (!accepted) {
      EXPECT_EQ(accepted.error().code(), Code::kFailedPrecondition) << c.name;
    }
  }
}

TEST(RecruitFloor, BlocksUntilRuleAndLsnReachIt) {
  const LsnPosition floor = Numbers(At(Rules(1, 0), "0/200"));
  const struct {
    PoolerPosition own;
    bool outstanding;
  } cases[] = {
      {At(Rules(1, 0), "0/1FF"), true}, {At(Rules(1, 0), "0/200"), false}, {At(Rules(0, 1), "9/0"), true},
      {At(Rules(1, 1), "0/1"), false},  {At(Rules(1, 0), "?"), true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(IsFloorOutstanding(c.own, &floor), c.outstanding);
    EXPECT_EQ(ValidateRevocation(c.own, nullptr, &floor, Promise(5, 4, 0)).has_value(), !c.outstanding);
  }
  LsnPosition unreadable;
  unreadable.set_lsn("?");
  EXPECT_TRUE(IsFloorOutstanding(At(Rules(1, 0), "0/200"), &unreadable));
}

TEST(RecruitFloor, OnlyGrows) {
  const LsnPosition high = Numbers(At(Rules(1, 0), "0/200"));
  EXPECT_EQ(RaiseFloor(At(Rules(1, 0), "0/100"), &high).lsn(), "0/200");
  EXPECT_EQ(RaiseFloor(At(Rules(1, 0), "0/300"), &high).lsn(), "0/300");
  EXPECT_EQ(RaiseFloor(At(Rules(1, 0), "0/100"), nullptr).lsn(), "0/100");
}

// A stale coordinator (term 3, outgoing 1.0) must not free a member that promised term 2 beyond 1.1: it would rejoin
// 1.1's leader and acknowledge a write that term 2's leader lacks.
TEST(Trace, StalePromiseDoesNotFreeTheOutgoingLeadersFollower) {
  const TermRevocation first = Promise(2, 1, 1, "x");
  const TermRevocation stale = Promise(3, 1, 0, "slow");
  EXPECT_FALSE(IsRuleRevoked(Rules(1, 1), &stale)) << "taken as it is, it would";
  const TermRevocation merged = MergePromise(&first, stale);
  EXPECT_EQ(merged.revoked_below_term(), 3);
  EXPECT_EQ(RuleNumberText(merged.outgoing_rule()), "1.1");
  EXPECT_TRUE(IsRuleRevoked(Rules(1, 1), &merged));
}

// Term 2 carries an undecided 1.1, so its SetPrimary says decision 1.1, proposal 2.0. That must not override a promise
// of term 3 (outgoing 1.0).
TEST(Trace, CarriedProposalDoesNotOverrideAHigherPromise) {
  const TermRevocation promise = Promise(3, 1, 0);
  EXPECT_TRUE(IsRuleRevoked(Rules(1, 1, 2, 0), &promise));
}

}  // namespace
}  // namespace multigres::consensus
