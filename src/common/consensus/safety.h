// The rules that keep acknowledged writes, by name, so that the simulation (test/sim) can switch one off and show that
// it notices. A program enforces all of them: only SafetyRuleOff switches, and that class lives in the simulation.
#pragma once

#include <cstdint>

namespace multigres::consensus {

// Where each is stated: ha.md's sections, as the comment says.
enum class SafetyRule : std::uint8_t {
  // Promises (4).
  kPromisesOnlyGrow,       // an accepted promise keeps the higher outgoing rule
  kTermsCompared,          // a lower term than promised is refused
  kOneCoordinatorPerTerm,  // the same term of another attempt is refused
  kOwnRuleRevoked,         // a rule that the revocation doesn't cover refuses it
  kProposalTermsCount,     // a failover's undecided proposal never frees from a promise
  kSetPrimaryObeysPromise,
  // Recruitment (3, 6.2).
  kMajority,
  kUnrecruitedSet,      // those not recruited must not satisfy the policy
  kDecisionsCohort,     // with an open proposal the decision's cohort must be recruited too
  kOutgoingRuleAgreed,  // the recruits' most advanced rule is the revocation's outgoing one
  kMostAdvancedLeads,   // LSN order
  kGreatestLsn,         // of received and replayed
  kFloor,               // a rewound or restored member doesn't vote before it has caught up
  // Taking no part (6.1).
  kReceiverStopped,
  kReplayAwaited,
  kPrimaryDemoted,
  kCrashedPrimaryStartsAsStandby,
  // The rule change (6.3).
  kCarriedOver,      // an undecided rule's cohort and policy go into the new term's, never decided under its old number
  kRuleNumberAsked,  // CAS: a change is made to the rule that it was asked of, a row written over the one that was read
  kBothAcknowledge,  // a change of the cohort is acknowledged by both rules
  kProposalAcknowledged,
  kDecisionBeforeServing,
  kVerifiedAck,
  kFence,
  kUniqueTimelines,
  kRewindReady,      // no rewind against a leader that hasn't checkpointed
  kReadmitByQuorum,  // a new process over a leading server asks the quorum first
  // The disk (2).
  kPromiseSynced,
  kCount,
};

class SafetyRuleOff;

class SafetySwitchboard {
 public:
  static bool IsOff(SafetyRule rule) { return (off_ >> static_cast<unsigned>(rule)) & 1U; }

 private:
  friend class SafetyRuleOff;
  static thread_local std::uint64_t off_;
};

inline bool Enforced(SafetyRule rule) {
  return !SafetySwitchboard::IsOff(rule);
}

}  // namespace multigres::consensus
