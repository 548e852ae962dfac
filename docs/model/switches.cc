#include "model/switches.h"

#include <algorithm>
#include <array>

namespace multigres::model {
namespace {

constexpr std::array<RuleInfo, kRules> kInfo{{
    {Rule::kPromisesDurable, "promises-durable", "2", "a crash forgets the promise", true},
    {Rule::kPromisesGrow, "promises-grow", "4", "a new promise replaces the outgoing rule of the old one", false},
    {Rule::kTermsCompared, "terms-compared", "4", "a lower term is promised after a higher one", true},
    {Rule::kSameTermIdentity, "same-term-identity", "4", "a term is promised to two attempts", true},
    {Rule::kOwnPositionRevoked, "own-position-revoked", "4", "a Recruit is accepted that doesn't revoke the own rule",
     false},
    {Rule::kProposalTerms, "proposal-terms", "4", "a failover's open proposal doesn't count when a promise is judged",
     false},
    {Rule::kRunawayOverride, "runaway-override", "4", "a decision beyond the promise's outgoing rule doesn't free",
     false},
    {Rule::kReceiverStopped, "receiver-stopped", "6.1", "a recruited standby keeps on streaming", true},
    {Rule::kPrimaryDemoted, "primary-demoted", "6.1", "a recruited primary keeps on serving", true},
    {Rule::kWaitForReplay, "wait-for-replay", "6.1", "rules are read from WAL that isn't replayed to its end", false},
    {Rule::kGreatestLsn, "greatest-lsn", "1", "a fresh receiver reports less WAL than there is", true},
    {Rule::kOutgoingMatches, "outgoing-matches", "6.2", "recruits may stand at another rule than the outgoing one",
     false},
    {Rule::kMajority, "majority", "3", "recruits needn't be a majority", false},
    {Rule::kUnrecruitedCannotAck, "unrecruited-cannot-ack", "3", "the unrecruited may satisfy the policy", true},
    {Rule::kCandidacy, "candidacy", "3", "recruits needn't satisfy the new rule by themselves", false},
    {Rule::kDecisionCohortToo, "decision-cohort-too", "6.2", "with an open proposal, only its cohort is recruited",
     false},
    {Rule::kLsnOrder, "lsn-order", "1", "any recruit at the highest rule may lead", true},
    {Rule::kNewestRuleFirst, "newest-rule-first", "1", "a decision beats a newer open proposal", false},
    {Rule::kCarryOver, "carry-over", "6.3", "an open proposal is decided under its old number first", false},
    {Rule::kPromoteNeedsPromise, "promote-needs-promise", "5", "Promote is accepted without its term's promise", false},
    {Rule::kCompareAndSwap, "compare-and-swap", "2", "a rule is written over another one than was read", true},
    {Rule::kOnePromotionPerTerm, "one-promotion-per-term", "8.3", "a term's leader may leave recovery twice", false},
    {Rule::kUniqueTimelines, "unique-timelines", "8.3", "a promotion takes the next timeline id that it sees free",
     true},
    {Rule::kBothBeforeIncoming, "both-before-incoming", "3", "the incoming rule alone acknowledges its own writing",
     false},
    {Rule::kProposalAck, "proposal-ack", "6.3", "the decision is written before the proposal is acknowledged", false},
    {Rule::kDecisionAck, "decision-ack", "6.3", "the leader serves before its decision is acknowledged", false},
    {Rule::kDecisionBeforeServing, "decision-before-serving", "6.3", "the leader serves as soon as it is promoted",
     true},
    {Rule::kFence, "fence", "3", "no sync list before the first promotion: commits don't wait until a late reload",
     true},
    {Rule::kVerifiedAck, "verified-ack", "3", "a rule write counts as held when its COMMIT returns", false},
    {Rule::kExcludedSettled, "excluded-settled", "3", "a rule is written while an excluded walsender still counts",
     false},
    {Rule::kCancelIsUnknown, "cancel-is-unknown", "3", "a cancelled sync wait counts as success", true},
    {Rule::kSetPrimaryChecksPromise, "set-primary-checks-promise", "5", "SetPrimary is obeyed against the promise",
     true},
    {Rule::kSetPrimaryOnlyNewer, "set-primary-only-newer", "5", "SetPrimary is obeyed for lower positions too", false},
    {Rule::kSelfLedRewinds, "self-led-rewinds", "6.4", "a former leader in recovery follows without a rewind", false},
    {Rule::kCrashAsStandby, "crash-as-standby", "8.1", "a crashed primary starts writable", true},
    {Rule::kRewindFloor, "rewind-floor", "8.3", "a rewound member votes at once", false},
    {Rule::kFloorGrows, "floor-grows", "8.3", "a second rewind replaces the floor of the first", false},
    {Rule::kRestoreFloor, "restore-floor", "8.3", "a restored member votes at once", true},
    {Rule::kFloorFromPrimary, "floor-from-primary", "8.3", "a restored member takes its floor from a former leader",
     false},
    {Rule::kFloorOfFollowed, "floor-of-followed", "8.3", "... or from the leader of a rule below one it had followed",
     false},
}};

constexpr bool InOrder() {
  for (int i = 0; i < kRules; ++i) {
    if (static_cast<int>(kInfo[i].rule) != i) return false;
  }
  return true;
}
static_assert(InOrder());

}  // namespace

std::span<const RuleInfo> AllRules() {
  return kInfo;
}

const RuleInfo& InfoOf(Rule rule) {
  return kInfo[static_cast<int>(rule)];
}

std::optional<Rule> RuleByName(std::string_view name) {
  const auto* found = std::ranges::find(kInfo, name, &RuleInfo::name);
  if (found == kInfo.end()) return std::nullopt;
  return found->rule;
}

}  // namespace multigres::model
