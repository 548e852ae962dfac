#include "common/consensus/durability.h"

#include <gtest/gtest.h>

#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

using namespace testing;

const Members kFive = {"A_1", "A_2", "B_1", "B_2", "C_1"};

MemberSet FirstOf(int count) {
  MemberSet set;
  for (int i = 0; i < count; ++i) set.Insert(fmt::format("z{}_m", i));
  return set;
}

TEST(Durability, OnlyTheTwoUserPoliciesParse) {
  EXPECT_EQ(ParsePolicy("AT_LEAST_2")->required_count(), 2);
  EXPECT_EQ(PolicyText(*ParsePolicy("MULTI_CELL_AT_LEAST_2")), "MULTI_CELL_AT_LEAST_2");
  for (const char* name : {"AT_LEAST_1", "AT_LEAST_3", "MULTI_CELL_AT_LEAST_3", "at_least_2", "", "AT_LEAST_N"}) {
    EXPECT_FALSE(ParsePolicy(name)) << name;
  }
}

TEST(Durability, UnmappablePoliciesAreRejected) {
  EXPECT_TRUE(ValidatePolicy(AtLeast(1)));
  EXPECT_TRUE(ValidatePolicy(AtLeast(3)));
  EXPECT_FALSE(ValidatePolicy(AtLeast(0)));
  EXPECT_FALSE(ValidatePolicy(AtLeast(-1)));
  EXPECT_TRUE(ValidatePolicy(MultiCellAtLeast(2)));
  EXPECT_FALSE(ValidatePolicy(MultiCellAtLeast(3)));
  EXPECT_FALSE(ValidatePolicy(DurabilityPolicy()));
}

TEST(Durability, CohortThatCannotSatisfyItsPolicyIsRejected) {
  auto too_small = CheckAchievable(AtLeast(2), Set({"A_1"}));
  ASSERT_FALSE(too_small);
  EXPECT_EQ(too_small.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(too_small.error().message().find("durability not satisfied: "), 0u);
  EXPECT_FALSE(CheckAchievable(MultiCellAtLeast(2), Set({"A_1", "A_2"})));
  EXPECT_TRUE(CheckAchievable(MultiCellAtLeast(2), Set({"A_1", "B_1"})));
}

TEST(Durability, AtLeastNWaitsForTheWholeCohortOfWhichNMinusOne) {
  const struct {
    int n, cohort;
    const char* expected;
  } cases[] = {
      {2, 2, R"(ANY 1 ("z0_m", "z1_m"))"},
      {2, 3, R"(ANY 1 ("z0_m", "z1_m", "z2_m"))"},
      {2, 4, R"(ANY 1 ("z0_m", "z1_m", "z2_m", "z3_m"))"},
      {3, 5, R"(ANY 2 ("z0_m", "z1_m", "z2_m", "z3_m", "z4_m"))"},
  };
  for (const auto& c : cases) {
    auto standbys = SyncStandbysFor(AtLeast(c.n), FirstOf(c.cohort), "z0_m");
    ASSERT_TRUE(standbys);
    EXPECT_EQ(standbys->Text(), c.expected);
  }
  EXPECT_EQ(SyncStandbysFor(AtLeast(2), FirstOf(3), "z9_m")->num_sync, 2) << "a leader outside holds nothing";
}

TEST(Durability, MultiCellWaitsForOtherCellsOnly) {
  auto standbys = SyncStandbysFor(MultiCellAtLeast(2), Set(kFive), "A_1");
  ASSERT_TRUE(standbys);
  EXPECT_EQ(standbys->Text(), R"(ANY 1 ("B_1", "B_2", "C_1"))");
  auto one_cell = SyncStandbysFor(MultiCellAtLeast(2), Set({"A_1", "A_2"}), "A_1");
  ASSERT_FALSE(one_cell);
  EXPECT_EQ(one_cell.error().code(), Code::kFailedPrecondition);
}

// A new member that carries over the change which adds it: the decided cohort must acknowledge without it.
TEST(Durability, MultiCellWithALeaderOutsideWaitsForMoreThanAnyCellHolds) {
  auto standbys = SyncStandbysFor(MultiCellAtLeast(2), Set(kFive), "D_1");
  ASSERT_TRUE(standbys) << standbys.error().ToString();
  EXPECT_EQ(standbys->Text(), R"(ANY 3 ("A_1", "A_2", "B_1", "B_2", "C_1"))");
  auto one_each = SyncStandbysFor(MultiCellAtLeast(2), Set({"A_1", "B_1", "C_1"}), "A_2");
  ASSERT_TRUE(one_each) << one_each.error().ToString();
  EXPECT_EQ(one_each->Text(), R"(ANY 2 ("A_1", "B_1", "C_1"))");
}

TEST(Durability, AListThatWouldBeEmptyIsRefused) {
  EXPECT_FALSE(SyncStandbysFor(AtLeast(1), Set({"A_1", "B_1"}), "A_1"));
  EXPECT_EQ(Fence().Text(), R"(ANY 1 ("multigres-fence"))");
}

// The page's table, for every cohort from two to seven. More replicas never help AT_LEAST_2.
TEST(Durability, RecruitsAndToleratedLossesFollowTheTable) {
  const struct {
    int n, cohort;
    std::size_t recruits, down;
  } cases[] = {
      {2, 2, 2, 0}, {2, 3, 2, 1}, {2, 4, 3, 1}, {2, 5, 4, 1}, {2, 6, 5, 1}, {2, 7, 6, 1}, {3, 3, 3, 0}, {3, 4, 3, 1},
      {3, 5, 3, 2}, {3, 6, 4, 2}, {3, 7, 5, 2}, {4, 4, 4, 0}, {4, 5, 4, 1}, {4, 6, 4, 2}, {4, 7, 4, 3},
  };
  for (const auto& c : cases) {
    const MemberSet cohort = FirstOf(c.cohort);
    EXPECT_EQ(RecruitsNeeded(c.n, cohort.size()), c.recruits);
    for (int count = 0; count <= c.cohort; ++count) {
      const bool enough = CheckFeasible(AtLeast(c.n), cohort, FirstOf(count)).has_value();
      EXPECT_EQ(enough, static_cast<std::size_t>(count) >= c.recruits) << c.n << " of " << c.cohort << ": " << count;
    }
    EXPECT_EQ(cohort.size() - c.recruits, c.down);
    EXPECT_EQ(SyncStandbysFor(AtLeast(c.n), cohort, "z0_m")->num_sync, c.n - 1);
  }
}

TEST(Durability, MultiCellRecruitmentFollowsTheTable) {
  const DurabilityPolicy policy = MultiCellAtLeast(2);
  EXPECT_TRUE(CheckRecruitment(policy, Set(kFive), Set({"B_1", "B_2", "C_1"})));
  EXPECT_FALSE(CheckRecruitment(policy, Set(kFive), Set({"A_2", "B_1", "B_2"}))) << "A_1 and C_1 span two cells";
  EXPECT_FALSE(CheckRecruitment(policy, Set(kFive), Set({"B_1", "C_1"}))) << "no majority";
}

TEST(Durability, MultiCellFollowsItsExamples) {
  const DurabilityPolicy policy = MultiCellAtLeast(2);
  const struct {
    const char* name;
    MemberSet cohort, recruits;
    bool enough;
  } cases[] = {
      {"one a cell, one down", Set({"A_1", "B_1", "C_1"}), Set({"B_1", "C_1"}), true},
      {"one a cell, two down", Set({"A_1", "B_1", "C_1"}), Set({"C_1"}), false},
      {"two cells, one down: its cell's other member may have acknowledged with it", Set({"A_1", "A_2", "B_1", "B_2"}),
       Set({"A_2", "B_1", "B_2"}), true},
      {"two cells, one cell down: what is left spans one cell", Set({"A_1", "A_2", "B_1", "B_2"}), Set({"B_1", "B_2"}),
       false},
      {"a whole cell of five down", Set(kFive), Set({"B_1", "B_2", "C_1"}), true},
      {"one of each of two cells down", Set(kFive), Set({"A_2", "B_1", "C_1"}), false},
      {"the single member of a cell down", Set(kFive), Set({"A_1", "A_2", "B_1", "B_2"}), true},
      {"two of one cell recruited: they can't acknowledge each other", Set({"A_1", "A_2", "B_1"}), Set({"A_1", "A_2"}),
       false},
  };
  for (const auto& c : cases) EXPECT_EQ(CheckFeasible(policy, c.cohort, c.recruits).has_value(), c.enough) << c.name;
}

TEST(Durability, StrangersAndDuplicatesRecruitNobody) {
  EXPECT_FALSE(CheckRecruitment(AtLeast(2), FirstOf(3), Set({"z0_m", "z8_m", "z9_m"})));
  EXPECT_FALSE(CheckCandidacy(AtLeast(2), FirstOf(3), Set({"z0_m", "z9_m"})));
}

// Any recruitment that suffices meets every set of members that could have acknowledged a commit.
TEST(Durability, SufficientRecruitmentMeetsEveryAckingSet) {
  const std::vector<std::string> all = Set(kFive).texts();
  for (const DurabilityPolicy& policy : {AtLeast(2), AtLeast(3), MultiCellAtLeast(2)}) {
    for (unsigned cohort_bits = 1; cohort_bits < 32; ++cohort_bits) {
      auto pick = [&](unsigned bits) {
        MemberSet set;
        for (unsigned i = 0; i < 5; ++i) {
          if (bits >> i & 1) set.Insert(all[i]);
        }
        return set;
      };
      const MemberSet cohort = pick(cohort_bits);
      for (unsigned recruit_bits = 0; recruit_bits < 32; ++recruit_bits) {
        if ((recruit_bits & ~cohort_bits) != 0) continue;
        if (!CheckFeasible(policy, cohort, pick(recruit_bits))) continue;
        EXPECT_FALSE(Satisfies(policy, pick(cohort_bits & ~recruit_bits)));
        EXPECT_TRUE(Satisfies(policy, pick(recruit_bits)));
      }
    }
  }
}

TEST(Durability, AcknowledgementCountsTheLeaderAndMembersOnly) {
  const MemberSet cohort = Set({"A_1", "B_1", "C_1"});
  EXPECT_TRUE(IsDurable(AtLeast(2), cohort, "A_1", Set({"B_1"})));
  EXPECT_FALSE(IsDurable(AtLeast(2), cohort, "A_1", Set({})));
  EXPECT_FALSE(IsDurable(AtLeast(2), cohort, "A_1", Set({"D_1"})));
  EXPECT_FALSE(IsDurable(MultiCellAtLeast(2), Set(kFive), "A_1", Set({"A_2"})));
  EXPECT_TRUE(IsDurable(MultiCellAtLeast(2), Set(kFive), "A_1", Set({"B_2"})));
}

}  // namespace
}  // namespace multigres::consensus
