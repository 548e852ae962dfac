#include "common/consensus/proposal.h"

#include <gtest/gtest.h>

#include "common/consensus/position.h"
#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

using namespace testing;
using namespace std::chrono_literals;

const Members kThree = {"z1_a", "z2_b", "z3_c"};
const TermRevocation kTerm2 = Promise(2, 1, 0);

RulePosition One() {
  return Decided(Rule(1, 0, "z1_a", kThree));
}

std::string LeaderOf(const Result<::consensusdata::CoordinatorProposal>& proposal) {
  return proposal ? MemberText(proposal->proposal_leader().id()) : proposal.error().ToString();
}

TEST(BuildProposal, FailoverKeepsCohortAndPolicyUnderTheNewTerm) {
  const std::vector<Candidate> recruits = {MakeCandidate("z2_b", At(One(), "0/100"), kTerm2),
                                           MakeCandidate("z3_c", At(One(), "0/200"), kTerm2)};
  auto proposal = BuildProposal(kTerm2, recruits, kNow);
  ASSERT_TRUE(proposal) << proposal.error().ToString();
  EXPECT_EQ(LeaderOf(proposal), "z3_c");
  EXPECT_EQ(proposal->proposal_leader().host(), "z3_c.test");
  EXPECT_FALSE(proposal->skip_outgoing_quorum());
  const RulePosition& transition = proposal->proposed_transition();
  EXPECT_EQ(RulePositionText(transition), "1.0 (proposed 2.0)");
  EXPECT_EQ(MemberSet::Of(transition.proposal().cohort_members()), Set(kThree));
  EXPECT_EQ(transition.proposal().durability_policy().policy_name(), "AT_LEAST_2");
  EXPECT_EQ(MemberText(transition.proposal().leader_id()), "z3_c");
  EXPECT_EQ(MemberText(transition.proposal().coordinator_id()), "zone1_x");
}

TEST(BuildProposal, TiesGoToTheWillingThenToReadySlotsThenToTheName) {
  std::vector<Candidate> recruits;
  for (const char* member : {"z3_c", "z1_a", "z2_b"}) {
    recruits.push_back(MakeCandidate(member, At(One(), "0/100"), kTerm2));
  }
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z1_a");
  recruits[2].failover_slots_ready = 2;
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z2_b");
  recruits[2].resigning = true;
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z1_a");
  *recruits[2].status.mutable_current_position() = At(One(), "0/101");
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z2_b") << "a position is no tie";
}

// The leader of before follows another only after a rewind from the promoted one, whose first write nobody else could
// acknowledge: each would wait for the other.
TEST(BuildProposal, ACohortOfTwoIsLedByWhoLedBefore) {
  const RulePosition two = Decided(Rule(1, 0, "z1_a", {"z1_a", "z2_b"}));
  std::vector<Candidate> recruits = {MakeCandidate("z1_a", At(two, "0/100"), kTerm2),
                                     MakeCandidate("z2_b", At(two, "0/100"), kTerm2)};
  recruits[0].resigning = true;
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z1_a");
  // Not at the price of a commit.
  *recruits[1].status.mutable_current_position() = At(two, "0/101");
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z2_b");
}

TEST(BuildProposal, WithAThirdToAcknowledgeAResigningLeaderIsReplaced) {
  std::vector<Candidate> recruits;
  for (const char* member : {"z1_a", "z2_b", "z3_c"}) {
    recruits.push_back(MakeCandidate(member, At(One(), "0/100"), kTerm2));
  }
  recruits[0].resigning = true;
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z2_b");
  recruits.pop_back();
  EXPECT_EQ(LeaderOf(BuildProposal(kTerm2, recruits, kNow)), "z1_a") << "nobody else could acknowledge";
}

// A decided 1.1 alone, after term 2 had carried it over into 2.0, which a quorum may hold by now.
TEST(BuildProposal, ANewerOpenRuleBeatsAnOlderDecision) {
  const TermRevocation third = Promise(3, 1, 1);
  const ShardRule carried = Rule(1, 1, "z1_a", kThree);
  const std::vector<Candidate> recruits = {
      MakeCandidate("z1_a", At(Decided(carried), "0/200"), third),
      MakeCandidate("z2_b", At(Undecided(Rule(1, 0, "z1_a", kThree), Rule(2, 0, "z3_c", kThree)), "0/100"), third)};
  auto refused = BuildProposal(third, recruits, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kAborted) << "2.0 is not what the term was given for";
  EXPECT_EQ(RuleNumberText(HighestRuleNumber(*MostAdvancedRules(recruits))), "2.0");
}

TEST(BuildProposal, RefusesRecruitsThatDoNotSuffice) {
  const Candidate a = MakeCandidate("z1_a", At(One(), "0/100"), kTerm2);
  const Candidate b = MakeCandidate("z2_b", At(One(), "0/100"), kTerm2);
  const struct {
    const char* name;
    std::vector<Candidate> recruits;
    Code code;
  } cases[] = {
      {"nobody", {}, Code::kFailedPrecondition},
      {"one of three", {a}, Code::kFailedPrecondition},
      {"one of three, twice", {a, a}, Code::kFailedPrecondition},
      {"one and a stranger", {a, MakeCandidate("z9_x", At(One(), "0/100"), kTerm2)}, Code::kFailedPrecondition},
      {"one without an LSN", {a, MakeCandidate("z2_b", At(One(), ""), kTerm2)}, Code::kFailedPrecondition},
      {"one without a rule", {a, MakeCandidate("z2_b", At({}, "0/1"), kTerm2)}, Code::kFailedPrecondition},
      {"one promised to another",
       {a, MakeCandidate("z2_b", At(One(), "0/100"), Promise(2, 1, 0, "other"))},
       Code::kFailedPrecondition},
      {"behind the outgoing rule",
       {MakeCandidate("z1_a", At(Decided(Rule(0, 1, "", {})), "0/1"), kTerm2),
        MakeCandidate("z2_b", At(Decided(Rule(0, 1, "", {})), "0/1"), kTerm2)},
       Code::kFailedPrecondition},
      {"beyond the outgoing rule",
       {a, MakeCandidate("z2_b", At(Decided(Rule(1, 1, "z1_a", kThree)), "0/100"), kTerm2)},
       Code::kAborted},
      {"equivocating",
       {a, MakeCandidate("z2_b", At(Decided(Rule(1, 0, "z3_c", kThree)), "0/100"), kTerm2)},
       Code::kDataLoss},
  };
  for (const auto& c : cases) {
    auto proposal = BuildProposal(kTerm2, c.recruits, kNow);
    ASSERT_FALSE(proposal) << c.name;
    EXPECT_EQ(proposal.error().code(), c.code) << c.name << ": " << proposal.error().message();
  }
  EXPECT_TRUE(BuildProposal(kTerm2, std::vector{a, b}, kNow));
}

TEST(BuildProposal, FiveMembersNeedFourUnderAtLeastTwo) {
  const Members five = {"z1_a", "z1_b", "z2_a", "z2_b", "z3_a"};
  const RulePosition rules = Decided(Rule(1, 0, "z1_a", five));
  std::vector<Candidate> recruits;
  for (std::string_view member : {"z1_b", "z2_a", "z2_b", "z3_a"}) {
    EXPECT_FALSE(BuildProposal(kTerm2, recruits, kNow));
    recruits.push_back(MakeCandidate(member, At(rules, "0/1"), kTerm2));
  }
  EXPECT_TRUE(BuildProposal(kTerm2, recruits, kNow));
}

// 1.1 (which removes d) is undecided: term 2 must take its content as 2.0 and leave 1.0 the decision.
TEST(Trace, UndecidedRuleIsCarriedOverNeverDecidedUnderItsOldNumber) {
  const Members four = {"z1_a", "z2_b", "z3_c", "z3_d"};
  const ShardRule decided = Rule(1, 0, "z1_a", four);
  const ShardRule open = Rule(1, 1, "z1_a", kThree);
  const TermRevocation promise = Promise(2, 1, 1);
  std::vector<Candidate> recruits = {MakeCandidate("z2_b", At(Undecided(decided, open), "0/300"), promise),
                                     MakeCandidate("z3_c", At(Decided(decided), "0/200"), promise)};
  EXPECT_FALSE(BuildProposal(promise, recruits, kNow)) << "the decision's cohort of four needs three as well";
  recruits.push_back(MakeCandidate("z3_d", At(Decided(decided), "0/250"), promise));
  auto proposal = BuildProposal(promise, recruits, kNow);
  ASSERT_TRUE(proposal) << proposal.error().ToString();
  EXPECT_EQ(RulePositionText(proposal->proposed_transition()), "1.0 (proposed 2.0)");
  EXPECT_EQ(LeaderOf(proposal), "z2_b");
  EXPECT_EQ(MemberSet::Of(proposal->proposed_transition().proposal().cohort_members()), Set(kThree));
  EXPECT_EQ(MemberSet::Of(proposal->proposed_transition().decision().cohort_members()), Set(four));
}

// Four members at 1.0. a's 1.1 (without d) is acknowledged by nobody; c's 2.0 neither. Term 3 finds 1.1, term 4
// finds 2.0 and is decided. Had term 3 decided 1.1 under its old number, a would be ahead of everybody who doesn't
// know 4.0.
TEST(Trace, ACarriedRuleNeverOutranksWhatWasDecidedMeanwhile) {
  const Members four = {"z1_a", "z2_b", "z3_c", "z3_d"};
  const ShardRule one = Rule(1, 0, "z1_a", four);
  const RulePosition at_a = Undecided(one, Rule(1, 1, "z1_a", kThree));
  const RulePosition at_c = Undecided(one, Rule(2, 0, "z3_c", four));
  const RulePosition elsewhere = Decided(one);

  const TermRevocation term3 = Promise(3, 1, 1);
  auto third = BuildProposal(
      term3,
      std::vector{MakeCandidate("z1_a", At(at_a, "0/200"), term3), MakeCandidate("z2_b", At(elsewhere, "0/100"), term3),
                  MakeCandidate("z3_d", At(elsewhere, "0/100"), term3)},
      kNow);
  ASSERT_TRUE(third) << third.error().ToString();
  EXPECT_EQ(LeaderOf(third), "z1_a");
  const RulePosition a_after = third->proposed_transition();
  EXPECT_EQ(RulePositionText(a_after), "1.0 (proposed 3.0)");

  const TermRevocation term4 = Promise(4, 2, 0);
  auto fourth = BuildProposal(
      term4,
      std::vector{MakeCandidate("z2_b", At(elsewhere, "0/100"), term4), MakeCandidate("z3_c", At(at_c, "0/180"), term4),
                  MakeCandidate("z3_d", At(elsewhere, "0/100"), term4)},
      kNow);
  ASSERT_TRUE(fourth) << fourth.error().ToString();
  EXPECT_EQ(LeaderOf(fourth), "z3_c");
  EXPECT_EQ(MemberSet::Of(fourth->proposed_transition().proposal().cohort_members()), Set(four));
  const RulePosition decided = Decided(fourth->proposed_transition().proposal());
  EXPECT_TRUE(CompareRules(a_after, decided) < 0);

  // Term 5 with a and b, who holds the write: a must not lead, and the two alone are not enough.
  const TermRevocation term5 = Promise(5, 4, 0);
  std::vector<Candidate> recruits = {MakeCandidate("z1_a", At(a_after, "0/900"), term5),
                                     MakeCandidate("z2_b", At(decided, "0/300"), term5)};
  EXPECT_FALSE(BuildProposal(term5, recruits, kNow));
  recruits.push_back(MakeCandidate("z3_d", At(elsewhere, "0/100"), term5));
  EXPECT_EQ(LeaderOf(BuildProposal(term5, recruits, kNow)), "z2_b");
}

// The member that the open rule removes is the only one to hold it: nobody else may be promoted over its WAL.
TEST(BuildProposal, DoesNotPassOverARemovedMemberThatIsAhead) {
  const Members four = {"z1_a", "z2_b", "z3_c", "z3_d"};
  const ShardRule decided = Rule(1, 0, "z1_a", four);
  const TermRevocation promise = Promise(2, 1, 1);
  const std::vector<Candidate> recruits = {
      MakeCandidate("z2_b", At(Decided(decided), "0/100"), promise),
      MakeCandidate("z3_c", At(Decided(decided), "0/100"), promise),
      MakeCandidate("z3_d", At(Undecided(decided, Rule(1, 1, "z1_a", kThree)), "0/300"), promise)};
  EXPECT_FALSE(BuildProposal(promise, recruits, kNow));
}

// The leader of before was killed while it added z1_a, and all have received the proposal.
TEST(BuildProposal, MultiCellCarriesOverAChangeThatAddsTheBestLeader) {
  const Members before = {"z1_d", "z2_b", "z3_c"};
  const Members after = {"z1_a", "z1_d", "z2_b", "z3_c"};
  const RulePosition open =
      Undecided(Rule(1, 0, "z1_d", before, MultiCellAtLeast(2)), Rule(1, 1, "z1_d", after, MultiCellAtLeast(2)));
  const TermRevocation term2 = Promise(2, 1, 1);
  std::vector<Candidate> recruits;
  for (const char* member : {"z1_a", "z1_d", "z2_b", "z3_c"}) {
    recruits.push_back(MakeCandidate(member, At(open, "0/100"), term2));
  }
  EXPECT_EQ(LeaderOf(BuildProposal(term2, recruits, kNow)), "z1_a");
  // Without z3_c only z1_a and z2_b could follow at once: too few of the decided cohort for a leader outside of it.
  recruits.pop_back();
  EXPECT_EQ(LeaderOf(BuildProposal(term2, recruits, kNow)), "z1_d");
}

TEST(BuildProposal, MultiCellFollowsTheTable) {
  const Members five = {"A_1", "A_2", "B_1", "B_2", "C_1"};
  const RulePosition rules = Decided(Rule(1, 0, "A_1", five, MultiCellAtLeast(2)));
  auto recruited = [&](Members members) {
    std::vector<Candidate> recruits;
    for (std::string_view member : members) recruits.push_back(MakeCandidate(member, At(rules, "0/1"), kTerm2));
    return BuildProposal(kTerm2, recruits, kNow).has_value();
  };
  EXPECT_TRUE(recruited({"B_1", "B_2", "C_1"}));
  EXPECT_FALSE(recruited({"A_2", "B_1", "B_2"}));
}

TEST(BuildCertifiedProposal, InstallsTheFirstRuleOfAShard) {
  const RulePosition seed = Decided(Rule(0, 1, "", {}));
  ExternallyCertifiedRevocation certificate;
  *certificate.mutable_term_revocation() = Promise(1, 0, 1);
  certificate.set_frozen_lsn("0/200");
  const ShardRule incoming = Rule(0, 0, "", kThree);
  std::vector<Candidate> recruits = {MakeCandidate("z1_a", At(seed, "0/100"), certificate.term_revocation())};
  EXPECT_FALSE(BuildCertifiedProposal(certificate, incoming, recruits, kNow)) << "one of three";
  recruits.push_back(MakeCandidate("z2_b", At(seed, "0/150"), certificate.term_revocation()));
  EXPECT_FALSE(BuildCertifiedProposal(certificate, incoming, recruits, kNow)) << "nobody at the frozen LSN";
  recruits.push_back(MakeCandidate("z3_c", At(seed, "0/200"), certificate.term_revocation()));
  auto proposal = BuildCertifiedProposal(certificate, incoming, recruits, kNow);
  ASSERT_TRUE(proposal) << proposal.error().ToString();
  EXPECT_EQ(LeaderOf(proposal), "z3_c");
  EXPECT_TRUE(proposal->skip_outgoing_quorum());
  EXPECT_EQ(RulePositionText(proposal->proposed_transition()), "0.1 (proposed 1.0)");
}

TEST(BuildCertifiedProposal, RefusesARuleThatTheCertificateDidNotMean) {
  ExternallyCertifiedRevocation certificate;
  *certificate.mutable_term_revocation() = Promise(2, 1, 0);
  certificate.set_frozen_lsn("0/1");
  const RulePosition other = Decided(Rule(1, 1, "z1_a", kThree));
  const std::vector<Candidate> recruits = {MakeCandidate("z1_a", At(other, "0/9"), certificate.term_revocation()),
                                           MakeCandidate("z2_b", At(other, "0/9"), certificate.term_revocation())};
  auto proposal = BuildCertifiedProposal(certificate, Rule(0, 0, "z1_a", {"z1_a", "z2_b"}), recruits, kNow);
  ASSERT_FALSE(proposal);
  EXPECT_EQ(proposal.error().code(), Code::kAborted);
}

TEST(Plan, TakesANewTermAboveEverythingSeen) {
  std::vector<Candidate> cached = {MakeCandidate("z1_a", At(One(), "0/1")),
                                   MakeCandidate("z2_b", At(One(), "0/1"), Promise(6, 1, 0)),
                                   MakeCandidate("z3_c", At(One(), "0/1"))};
  EXPECT_EQ(NewTerm(cached), 7);
  *cached[0].status.mutable_replication_primary()->mutable_position() = Decided(Rule(9, 0, "z2_b", kThree));
  auto proposal = Plan(cached, Coordinator("y"), kNow);
  ASSERT_TRUE(proposal) << proposal.error().ToString();
  EXPECT_EQ(proposal->term_revocation().revoked_below_term(), 10);
  EXPECT_EQ(RuleNumberText(proposal->term_revocation().outgoing_rule()), "1.0");
}

TEST(Plan, AbortsWhenThoseThatWouldAcceptDoNotSuffice) {
  std::vector<Candidate> cached;
  for (std::string_view member : kThree) cached.push_back(MakeCandidate(member, At(One(), "0/1")));
  EXPECT_TRUE(Plan(cached, Coordinator("x"), kNow));
  cached[0].reachable = false;
  EXPECT_TRUE(Plan(cached, Coordinator("x"), kNow));
  *cached[1].status.mutable_recruit_blocked_until() = Numbers(At(One(), "0/2"));
  EXPECT_FALSE(Plan(cached, Coordinator("x"), kNow));
}

TEST(Plan, ARuleThatOnlyALostMemberKnowsIsNotRecruitedFor) {
  std::vector<Candidate> cached;
  for (std::string_view member : kThree) cached.push_back(MakeCandidate(member, At(One(), "0/1")));
  *cached[0].status.mutable_current_position() =
      At(Undecided(Rule(1, 0, "z1_a", kThree), Rule(1, 1, "z1_a", {"z1_a", "z2_b"})), "0/9");
  EXPECT_EQ(RuleNumberText(Plan(cached, Coordinator("x"), kNow)->term_revocation().outgoing_rule()), "1.1");
  cached[0].reachable = false;
  EXPECT_EQ(RuleNumberText(Plan(cached, Coordinator("x"), kNow)->term_revocation().outgoing_rule()), "1.0");
}

TEST(MustBackOff, OnlyForAnotherCoordinatorsFreshUnresolvedPromise) {
  const struct {
    const char* name;
    TermRevocation promise;
    Duration known_for;
    bool back_off;
  } cases[] = {
      {"fresh", Promise(2, 1, 0, "other"), 1s, true},
      {"old", Promise(2, 1, 0, "other"), 4s, false},
      {"own", Promise(2, 1, 0, "me"), 1s, false},
      {"resolved", Promise(1, 0, 1, "other"), 1s, false},
      {"fresh, by a clock an hour behind", Promise(2, 1, 0, "other", kNow - 1h), 1s, true},
      {"fresh, by a clock an hour ahead", Promise(2, 1, 0, "other", kNow + 1h), 1s, true},
      {"old, by a clock an hour ahead", Promise(2, 1, 0, "other", kNow + 1h), 4s, false},
      {"none", TermRevocation(), 1s, false},
  };
  for (const auto& c : cases) {
    std::vector<Candidate> cached = {MakeCandidate("z1_a", At(One(), "0/1"), c.promise),
                                     MakeCandidate("z2_b", At(One(), "0/1"))};
    cached[0].promise_age = c.known_for;
    EXPECT_EQ(MustBackOff(cached, Coordinator("me")), c.back_off) << c.name;
  }
}

}  // namespace
}  // namespace multigres::consensus
