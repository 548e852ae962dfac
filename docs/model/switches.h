// The rules of the protocol, each one a switch: what is left of its safety when a rule is forgotten?
#pragma once

#include <bitset>
#include <optional>
#include <span>
#include <string_view>

namespace multigres::model {

enum class Rule {
  // promises
  kPromisesDurable,
  kPromisesGrow,
  kTermsCompared,
  kSameTermIdentity,
  kOwnPositionRevoked,
  kProposalTerms,
  kRunawayOverride,
  // recruitment
  kReceiverStopped,
  kPrimaryDemoted,
  kWaitForReplay,
  kGreatestLsn,
  // proposals
  kOutgoingMatches,
  kMajority,
  kUnrecruitedCannotAck,
  kCandidacy,
  kDecisionCohortToo,
  kLsnOrder,
  kNewestRuleFirst,
  kCarryOver,
  // promotion
  kPromoteNeedsPromise,
  kCompareAndSwap,
  kOnePromotionPerTerm,
  kUniqueTimelines,
  kBothBeforeIncoming,
  kProposalAck,
  kDecisionAck,
  kDecisionBeforeServing,
  // acknowledgement
  kFence,
  kVerifiedAck,
  kExcludedSettled,
  kCancelIsUnknown,
  // followers
  kSetPrimaryChecksPromise,
  kSetPrimaryOnlyNewer,
  kSelfLedRewinds,
  // ways back
  kCrashAsStandby,
  kRewindFloor,
  kFloorGrows,
  kRestoreFloor,
  kFloorFromPrimary,
  kFloorOfFollowed,
  kCount,
};

inline constexpr int kRules = static_cast<int>(Rule::kCount);

struct RuleInfo {
  Rule rule;
  std::string_view name;     // on the command line
  std::string_view section;  // of the HA specification
  std::string_view off;      // what happens without it
  bool caught;               // known to be caught within the standard bounds when it alone is off
};

std::span<const RuleInfo> AllRules();
const RuleInfo& InfoOf(Rule rule);
std::optional<Rule> RuleByName(std::string_view name);

// All on, unless turned off.
class Switches {
 public:
  bool On(Rule rule) const { return !off_[static_cast<int>(rule)]; }
  void TurnOff(Rule rule) { off_.set(static_cast<int>(rule)); }
  void TurnOn(Rule rule) { off_.reset(static_cast<int>(rule)); }

 private:
  std::bitset<kRules> off_;
};

}  // namespace multigres::model
