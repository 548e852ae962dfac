// What follows from a shard's view before anything is called a problem: the rule in force, its leader, who is there.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "common/consensus/member.h"
#include "common/consensus/proposal.h"
#include "services/multiorch/health/shard_view.h"

namespace multigres::orch {

// When a sign becomes a verdict. The reasons are in docs/adr/0006. Lives in the configuration: changes apply at once.
struct Thresholds {
  // What poolers are asked to report at: silence is told in multiples of it.
  Duration report_interval = std::chrono::milliseconds(200);
  // A leader that isn't heard for longer is asked about at its followers. Three reports at least.
  Duration unheard = std::chrono::seconds(1);
  // What any other pooler said counts for so long. Ten reports at least.
  Duration stale = std::chrono::seconds(3);
  // A leader is frozen once its PostgreSQL's answers, or its heartbeat commits, stand still for this long while no
  // follower sees it move; a silent leader is cut off once its followers have seen nothing for as long.
  Duration stall = std::chrono::milliseconds(1200);
  // A leader that answers, but hasn't committed for so long, is stuck even if WAL still moves.
  Duration stuck = std::chrono::seconds(5);
  // A shard that is stuck under a leader this young isn't helped by yet another one.
  Duration stuck_again = std::chrono::seconds(30);
  // A leader whose process runs may go without an answer for so long as long as followers see it move.
  Duration leader_response = std::chrono::seconds(30);
  // A promotion may take this long before its leader counts as failed, a follower of a new rule before it counts as cut
  // off.
  Duration promotion = std::chrono::seconds(10);
  // A leader that steps down may take this long for it: its last WAL is to reach its followers.
  Duration demotion = std::chrono::seconds(10);
  // Followers of a new rule may take this long to attach by themselves before they are repaired.
  Duration attach = std::chrono::seconds(2);
  // A receiver may be away this long before its follower is repaired; half of it, before it testifies to its leader's
  // death.
  Duration detached = std::chrono::seconds(1);
  // A leader whose pooler is gone counts as gone once its heartbeat hasn't advanced on streaming followers for this.
  Duration leader_pooler = std::chrono::seconds(3);
  // A recruit that has led to nothing for longer than an attempt takes is nobody's election any more.
  Duration abandoned_recruit = std::chrono::seconds(20);
  // A leader may take this long to decide a change of its rule: it gives up itself after a minute.
  Duration open_rule = std::chrono::seconds(75);
  // A member that was shut down, or is ineligible, may come back (rolling restart) before it is taken out of the
  // cohort.
  Duration removal_settle = std::chrono::seconds(30);
  // A standby lags if it is so many bytes behind, or has seen nothing for so long while its leader commits.
  std::uint64_t lag_bytes = 64ULL << 20;
  Duration lag = std::chrono::seconds(10);

  Duration Unheard() const { return std::max(unheard, 3 * report_interval); }
  Duration Stale() const { return std::max(stale, 10 * report_interval); }
};

struct ShardFacts {
  // The highest rule known to anybody, decided or not, in a WAL or told by SetPrimary. Its cohort is empty before the
  // first appointment.
  ::clustermetadata::RulePosition rules;
  consensus::MemberSet cohort;
  std::string leader;                         // of the highest rule; empty if it names none
  const PoolerView* leader_pooler = nullptr;  // null if untracked

  const ::clustermetadata::ShardRule& rule() const;
  bool HasCohort() const { return !cohort.empty(); }
};

// The view must outlive the facts.
ShardFacts Examine(const ShardView& view);

// Connected, and heard lately enough to go by what it said.
bool IsFresh(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds);
bool IsIneligible(const PoolerView& pooler);
// Out of recovery and ready to take statements.
bool IsRunningAsPrimary(const PoolerView& pooler);
// The leader's PostgreSQL runs as primary under a rule that names it and that nothing revokes: writes go there.
bool IsServingLeader(const ShardFacts& facts, const PoolerView& pooler);
// Wants to be rid of its leadership, for the term in force, or is on its way out.
bool IsResigning(const ShardFacts& facts, const PoolerView& pooler);
// Its receiver streams from somebody.
bool IsStreaming(const PoolerView& pooler);
// Its pooler reports right now, and nothing says that its PostgreSQL doesn't answer: so will a question.
bool IsResponsive(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds);
// IsResponsive(), as a standby that is ready: it can be recruited within milliseconds.
bool IsPromptStandby(const PoolerView& pooler, const Moment& now, const Thresholds& thresholds);
// Promised a term beyond the rule in force, which therefore can't be followed.
bool IsSelfRevoked(const ShardFacts& facts, const PoolerView& pooler);

// Everybody that an appointment may ask (all but the ineligible), as the coordinator wants them.
std::vector<consensus::Candidate> CandidatesOf(const ShardView& view, const ShardFacts& facts, const Moment& now,
                                               const Thresholds& thresholds);

// What every other pooler should be told: whom to follow by which rule. The leader's own record counts for
// rewind_ready.
::clustermetadata::ReplicationPrimary ReplicationTarget(const ShardFacts& facts);
// Does the pooler's record of its primary lag behind the target? False if telling it would change nothing (revoked, or
// it knows better).
bool NeedsSetPrimary(const PoolerView& pooler, const ::clustermetadata::ReplicationPrimary& target);

}  // namespace multigres::orch
