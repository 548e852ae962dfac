// Each safety rule switched off in turn: the judges notice, in a random run or in a scripted trace that needs the rule.
// docs/simulation.md has the table.
#include <gtest/gtest.h>

#include <set>

#include "test/sim/by_hand.h"
#include "test/sim/run.h"
#include "test/sim/safety_off.h"

namespace multigres::sim {
namespace {

using ::multigres::consensus::SafetyRule;
using ::multigres::consensus::SafetyRuleName;
using ::multigres::consensus::SafetyRuleOff;
using namespace std::chrono_literals;

struct Script {
  SafetyRule rule;
  void (*play)(ByHand& shard);
};

// Trace 1 of the model: a slow coordinator, which knows an older rule, recruits a follower that lags.
void AStaleRecruitOfOneThatLags(ByHand& shard) {
  Host& leader = shard.Leader();
  Host& lagging = *shard.Followers()[0];
  const auto stale = shard.Promise("y", 2);
  shard.CutOff(leader, lagging);
  (void)shard.Advance(leader);
  (void)shard.Recruit(lagging, shard.Promise("x", 1));
  (void)shard.Recruit(lagging, stale);
}

void ALowerTerm(ByHand& shard) {
  Host& follower = *shard.Followers()[0];
  (void)shard.Recruit(follower, shard.Promise("x", 2));
  (void)shard.Recruit(follower, shard.Promise("x", 1));
}

void TwoAttemptsInOneTerm(ByHand& shard) {
  Host& follower = *shard.Followers()[0];
  (void)shard.Recruit(follower, shard.Promise("x"));
  (void)shard.Recruit(follower, shard.Promise("y"));
}

void AnOldOutgoingRule(ByHand& shard) {
  const auto stale = shard.Promise("y");
  Host& follower = *shard.Followers()[0];
  (void)shard.Advance(shard.Leader());
  shard.cluster.Run(100ms);
  (void)shard.Recruit(follower, stale);
}

void APromisedFollowerIsToldToFollow(ByHand& shard) {
  Host& leader = shard.Leader();
  Host& follower = *shard.Followers()[0];
  (void)shard.Recruit(follower, shard.Promise("x"));
  (void)shard.SetPrimary(follower, shard.Led(leader));
  shard.cluster.Run(2s);
}

void AFollowerIsRecruited(ByHand& shard) {
  (void)shard.Recruit(*shard.Followers()[0], shard.Promise("x"));
  shard.cluster.Run(2s);
}

void ThePrimaryIsRecruited(ByHand& shard) {
  (void)shard.Recruit(shard.Leader(), shard.Promise("x"));
}

void AFollowerThatHasntReplayedTheRule(ByHand& shard) {
  Host& follower = *shard.Followers()[0];
  follower.postgres.SetReplayPaused(true);
  shard.cluster.Run(3s);
  (void)shard.Advance(shard.Leader());
  shard.cluster.Run(100ms);
  follower.postgres.SetReplaySlow(true);
  (void)shard.Recruit(follower, shard.Promise("x"));
}

// A fresh receiver reports the start of its segment.
void AFollowerWithAFreshReceiver(ByHand& shard) {
  Host& leader = shard.Leader();
  Host& follower = *shard.Followers()[0];
  const auto promise = shard.Promise("x");
  // In the middle of a segment nothing is written any more.
  shard.cluster.StopClients();
  shard.cluster.Run(1s);
  (void)shard.cluster.RunUntil([&] { return leader.postgres.wal().size() % 16 == 8; }, 10s);
  leader.KillPooler();
  shard.cluster.Run(100ms);
  follower.postgres.Kill();
  (void)shard.cluster.RunUntil([&] { return follower.postgres.source() == &leader.postgres; }, 10s);
  shard.cluster.Run(500ms);
  (void)shard.Recruit(follower, promise);
}

void TheHostOfThePrimaryCrashes(ByHand& shard) {
  Host& leader = shard.Leader();
  leader.Crash(false);
  leader.Boot();
  leader.StartPooler();
  shard.cluster.Run(3s);
}

void TwoChangesOfOneRule(ByHand& shard) {
  Host& leader = shard.Leader();
  const auto rule = shard.RuleOf(leader);
  (void)shard.Await(shard.BeginAdvance(leader, rule));
  (void)shard.Await(shard.BeginAdvance(leader, rule));
}

// The walsender of a member that is taken out reads its list late, and it alone is there to acknowledge.
void ARemovedMemberAcknowledges(ByHand& shard) {
  Host& leader = shard.Leader();
  const std::vector<Host*> followers = shard.Followers();
  leader.postgres.SetReloadLag(30s);
  for (std::size_t i = 1; i < followers.size(); ++i) shard.CutOff(leader, *followers[i]);
  (void)shard.BeginRemove(leader, *followers[0]);
  shard.cluster.Run(20s);
}

// Trace 4 of the model: two promotions at one place, of which the first is acknowledged by nobody.
void TwoPromotionsAtOnePlace(ByHand& shard) {
  Host& old = shard.Leader();
  const std::vector<Host*> followers = shard.Followers();
  const auto first = shard.Promise("x", 1);
  const auto second = shard.Promise("y", 2);
  old.Crash(false);
  for (Host* follower : followers) (void)shard.Recruit(*follower, first);
  Host& loser = *followers[0];
  (void)shard.BeginPromote(loser, first);
  (void)shard.cluster.RunUntil([&] { return loser.postgres.wal().last()->kind == Record::Kind::kProposal; }, 10s);
  loser.Crash(false);
  old.Boot();
  old.StartPooler();
  shard.cluster.Run(3s);
  for (Host* host : {&old, followers[1], followers[2]}) (void)shard.Recruit(*host, second);
  Host& winner = *followers[1];
  const auto decided = shard.BeginPromote(winner, second);
  (void)shard.SetPrimary(*followers[2], shard.LedBy(winner, second));
  (void)shard.Await(decided);
  shard.cluster.Run(3s);
  loser.Boot();
  loser.StartPooler();
  shard.cluster.orchestrator(0).Start();
  (void)shard.Settles();
}

// Its proposal is acknowledged, its decision in its own WAL alone: it is cut off.
Host& PromoteUpToTheDecision(ByHand& shard) {
  Host& old = shard.Leader();
  const std::vector<Host*> followers = shard.Followers();
  const auto promise = shard.Promise("x");
  old.Crash(false);
  for (Host* follower : followers) (void)shard.Recruit(*follower, promise);
  Host& leader = *followers[0];
  (void)shard.BeginPromote(leader, promise);
  for (Host* other : {followers[1], followers[2]}) (void)shard.SetPrimary(*other, shard.LedBy(leader, promise));
  const auto proposed = [&] { return followers[1]->postgres.wal().last()->kind == Record::Kind::kProposal; };
  (void)shard.cluster.RunUntil(proposed, 10s);
  leader.postgres.SetDiskHung(true);
  (void)shard.cluster.RunUntil([&] { return leader.postgres.wal().last()->kind == Record::Kind::kDecision; }, 10s);
  for (Host* other : {followers[1], followers[2]}) shard.CutOff(leader, *other);
  leader.postgres.SetDiskHung(false);
  return leader;
}

void ADecisionThatNobodyAcknowledges(ByHand& shard) {
  (void)PromoteUpToTheDecision(shard);
  shard.cluster.Run(10s);
}

// A new process finds its server leading, after the wait for the decision's acknowledgement was cancelled.
void ANewPoolerFindsItsServerLeading(ByHand& shard) {
  Host& leader = PromoteUpToTheDecision(shard);
  leader.postgres.CancelWaits();
  leader.KillPooler();
  leader.StartPooler();
  shard.cluster.Run(10s);
}

constexpr Script kScripts[] = {
    {SafetyRule::kPromisesOnlyGrow, AStaleRecruitOfOneThatLags},
    {SafetyRule::kTermsCompared, ALowerTerm},
    {SafetyRule::kOneCoordinatorPerTerm, TwoAttemptsInOneTerm},
    {SafetyRule::kOwnRuleRevoked, AnOldOutgoingRule},
    {SafetyRule::kSetPrimaryObeysPromise, APromisedFollowerIsToldToFollow},
    {SafetyRule::kReceiverStopped, AFollowerIsRecruited},
    {SafetyRule::kPrimaryDemoted, ThePrimaryIsRecruited},
    {SafetyRule::kReplayAwaited, AFollowerThatHasntReplayedTheRule},
    {SafetyRule::kGreatestLsn, AFollowerWithAFreshReceiver},
    {SafetyRule::kCrashedPrimaryStartsAsStandby, TheHostOfThePrimaryCrashes},
    {SafetyRule::kRuleNumberAsked, TwoChangesOfOneRule},
    {SafetyRule::kVerifiedAck, ARemovedMemberAcknowledges},
    {SafetyRule::kUniqueTimelines, TwoPromotionsAtOnePlace},
    {SafetyRule::kDecisionBeforeServing, ADecisionThatNobodyAcknowledges},
    {SafetyRule::kReadmitByQuorum, ANewPoolerFindsItsServerLeading},
};

// A line of docs/simulation.md's table.
void Report(SafetyRule rule, const std::string& where, const std::string& violation) {
  std::printf("| %s | %s | %s |\n", std::string(SafetyRuleName(rule)).c_str(), where.c_str(), violation.c_str());
}

std::optional<std::string> ViolationIn(const Script& script) {
  ByHand shard;
  if (!shard.cluster.trace.violation()) script.play(shard);
  return shard.cluster.trace.violation();
}

TEST(Mutations, AreCaughtInScriptedTraces) {
  for (const Script& script : kScripts) {
    const auto enforced = ViolationIn(script);
    EXPECT_FALSE(enforced) << SafetyRuleName(script.rule) << " enforced: " << *enforced;
    const SafetyRuleOff off(script.rule);
    const auto missing = ViolationIn(script);
    EXPECT_TRUE(missing) << SafetyRuleName(script.rule) << " is off, and nobody notices";
    if (missing) Report(script.rule, "script", *missing);
  }
}

// What random runs need. The seeds move with every change of the code, so the first that notices is searched.
constexpr SafetyRule kNoticedAtRandom[] = {
    SafetyRule::kProposalTermsCount,
    SafetyRule::kMajority,
    SafetyRule::kUnrecruitedSet,
    SafetyRule::kDecisionsCohort,
    SafetyRule::kMostAdvancedLeads,
    SafetyRule::kCarriedOver,
    SafetyRule::kBothAcknowledge,
    SafetyRule::kProposalAcknowledged,
    SafetyRule::kFence,
    SafetyRule::kPromiseSynced,
};
constexpr std::uint64_t kMostSeeds = 100;

TEST(Mutations, AreCaughtInRandomRuns) {
  for (const SafetyRule rule : kNoticedAtRandom) {
    const SafetyRuleOff off(rule);
    std::optional<std::string> violation;
    std::uint64_t seed = 0;
    while (!violation && seed < kMostSeeds) violation = RunSeed(++seed).violation;
    EXPECT_TRUE(violation) << SafetyRuleName(rule) << " is off, and nobody notices";
    if (violation) Report(rule, std::to_string(seed), *violation);
  }
}

// docs/simulation.md says why.
constexpr SafetyRule kLeftToTheModel[] = {SafetyRule::kOutgoingRuleAgreed, SafetyRule::kFloor,
                                          SafetyRule::kRewindReady};

TEST(Mutations, AreAllAccountedFor) {
  std::set<SafetyRule> rules(std::begin(kNoticedAtRandom), std::end(kNoticedAtRandom));
  rules.insert(std::begin(kLeftToTheModel), std::end(kLeftToTheModel));
  for (const Script& script : kScripts) rules.insert(script.rule);
  for (const SafetyRule rule : ::multigres::consensus::AllSafetyRules()) {
    EXPECT_TRUE(rules.contains(rule)) << SafetyRuleName(rule);
  }
}

}  // namespace
}  // namespace multigres::sim
