// What follows from a shard's view before anything is called a problem: the rule in force, its leader, who is there.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/consensus/member.h"
#include "common/consensus/proposal.h"
#include "services/multiorch/health/shard_view.h"

namespace multigres::orch {

struct Thresholds {
  // Not heard for longer: nothing it said counts any more.
  Duration unheard = std::chrono::seconds(15);
  // A leader whose process runs and that was ready this recently isn't called unhealthy yet.
  Duration leader_response = std::chrono::seconds(30);
  // A promotion may take this long before its leader counts as failed.
  Duration promotion = std::chrono::seconds(10);
  // Followers of a new rule may take this long to attach by themselves before they are repaired.
  Duration attach = std::chrono::seconds(2);
  // A streaming standby hears from its primary at least this often (the heartbeat row is written every second).
  Duration streaming_proof = std::chrono::seconds(3);
  // A leader whose pooler is unheard counts as gone once its heartbeat hasn't advanced on streaming followers for this.
  Duration leader_pooler = std::chrono::seconds(3);
  // An abandoned recruit older than any grace is nobody's election any more.
  Duration abandoned_recruit = std::chrono::seconds(60);
  // A shut-down member may come back (rolling restart) before it is taken out of the cohort.
  Duration tombstone_settle = std::chrono::seconds(30);
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
// IsStreaming(), and the primary's last sign of life is recent by the pooler's own clock.
bool HasStreamingProof(const PoolerView& pooler, const Thresholds& thresholds);
// The leader's pooler lives, as far as this follower's replayed heartbeat row tells. True if it doesn't report that.
bool SeesHeartbeat(const PoolerView& pooler, const Thresholds& thresholds);
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
