#include "common/consensus/transition.h"

#include <gtest/gtest.h>

#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

using namespace testing;

TEST(Transition, BothIsWhatSatisfiesEachRule) {
  const struct {
    ShardRule outgoing, incoming;
    const char* expected;  // null = rejected
  } cases[] = {
      // same cohort, same policy: a failover
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(2, 0, "b_1", {"a_1", "b_1", "c_1"}),
       R"(ANY 1 ("a_1", "b_1", "c_1"))"},
      // a member added: still the old members
      {Rule(1, 0, "a_1", {"a_1", "b_1"}), Rule(1, 1, "a_1", {"a_1", "b_1", "c_1"}), R"(ANY 1 ("a_1", "b_1"))"},
      // a member removed: already the remaining ones
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(1, 1, "a_1", {"a_1", "b_1"}), R"(ANY 1 ("a_1", "b_1"))"},
      // the count grows, and shrinks
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(1, 1, "a_1", {"a_1", "b_1", "c_1"}, AtLeast(3)),
       R"(ANY 2 ("a_1", "b_1", "c_1"))"},
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}, AtLeast(3)), Rule(1, 1, "a_1", {"a_1", "b_1", "c_1"}),
       R"(ANY 2 ("a_1", "b_1", "c_1"))"},
      // bootstrap: nothing to satisfy before
      {Rule(0, 1, "", {}), Rule(1, 0, "a_1", {"a_1", "b_1"}), R"(ANY 1 ("a_1", "b_1"))"},
      // a carried-over proposal that adds its own leader: the decided members must hold it without him
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(2, 0, "d_1", {"a_1", "b_1", "c_1", "d_1"}),
       R"(ANY 2 ("a_1", "b_1", "c_1"))"},
      // neither nested nor equal
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(1, 1, "a_1", {"a_1", "b_1", "d_1"}), nullptr},
      {Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"}), Rule(1, 1, "a_1", {"a_1", "b_1"}, AtLeast(3)), nullptr},
      {Rule(1, 0, "a_1", {"a_1", "b_1"}), Rule(1, 1, "a_1", {"a_1", "b_1"}, MultiCellAtLeast(2)), nullptr},
  };
  for (const auto& c : cases) {
    auto both = BothSyncStandbys(c.outgoing, c.incoming);
    EXPECT_EQ(both ? both->Text() : "", c.expected == nullptr ? "" : c.expected);
    if (!both) {
      EXPECT_EQ(both.error().code(), Code::kFailedPrecondition);
    }
  }
}

TEST(Transition, AnOpenProposalKeepsBothInForce) {
  const ShardRule decision = Rule(1, 0, "a_1", {"a_1", "b_1", "c_1"});
  const ShardRule proposal = Rule(1, 1, "a_1", {"a_1", "b_1", "c_1", "d_1"});
  EXPECT_EQ(SyncStandbysFor(Undecided(decision, proposal), "a_1")->Text(), R"(ANY 1 ("a_1", "b_1", "c_1"))");
  EXPECT_EQ(SyncStandbysFor(Decided(proposal), "a_1")->Text(), R"(ANY 1 ("a_1", "b_1", "c_1", "d_1"))");
  EXPECT_EQ(IncomingSyncStandbys(proposal)->Text(), R"(ANY 1 ("a_1", "b_1", "c_1", "d_1"))");
}

}  // namespace
}  // namespace multigres::consensus
