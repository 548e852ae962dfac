// Each safety rule switched off in turn: the judges notice, in a random run or in a scripted trace that needs the rule.
// docs/simulation.md has the table.
#include <gtest/gtest.h>

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
  follower.postgres.Kill();
  (void)shard.cluster.RunUntil([&] { return follower.postgres.Accepting(); }, 10s);
  follower.postgres.SetDiskHung(true);
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

void AMemberLosesPowerAfterItsPromise(ByHand& shard) {
  Host& follower = *shard.Followers()[0];
  (void)shard.Recruit(follower, shard.Promise("x"));
  follower.Crash(true);
  follower.Boot();
  follower.StartPooler();
  shard.cluster.Run(5s);
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

// A new process finds its server leading by a decision that nobody else holds.
void ANewPoolerFindsItsServerLeading(ByHand& shard) {
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
    {SafetyRule::kPromiseSynced, AMemberLosesPowerAfterItsPromise},
    {SafetyRule::kUniqueTimelines, TwoPromotionsAtOnePlace},
    {SafetyRule::kReadmitByQuorum, ANewPoolerFindsItsServerLeading},
};

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
    if (missing)
      std::printf("| %s | script | %s |\n", std::string(SafetyRuleName(script.rule)).c_str(), missing->c_str());
  }
}

}  // namespace
}  // namespace multigres::sim
