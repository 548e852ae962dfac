// The pooler's part in consensus: Recruit, Promote, SetPrimary and changes of the rule (ha.md, sections 5 and 6).
#pragma once

#include <string>

#include "common/consensus/transition.h"
#include "consensusdata.pb.h"
#include "multipoolermanagerdata.pb.h"
#include "services/multipooler/consensus/member_state.h"
#include "services/multipooler/consensus/postgres.h"
#include "services/multipooler/consensus/promise_store.h"
#include "services/multipooler/consensus/rule_store.h"
#include "services/multipooler/replication/settings.h"
#include "tools/async/mutex.h"
#include "tools/log/logger.h"

namespace multigres::pooler::consensus {

// Is there while pg_rewind makes another data directory of this one.
inline std::string RewindSentinel(const std::string& pooler_dir) {
  return pooler_dir + "/.multigres-rewind-in-progress";
}

// What the agent asks of the rest of the pooler.
class AgentHost {
 public:
  virtual ~AgentHost() = default;
  // The primary is about to be demoted: publish DRAINING, drain, and give up what is left after the grace.
  virtual Awaitable<void> DrainForDemotion(Duration grace) = 0;
  // Something that the routing role or the status depends on has changed: publish it.
  virtual Awaitable<void> OnConsensusChanged() = 0;
  // The server was restarted or went away.
  virtual Awaitable<void> OnServerRestarted() = 0;
  // PostgreSQL has just left recovery: a CHECKPOINT in the background, after which it can be rewound against. It must
  // not wait for the rule: perhaps only a member that has to be rewound can acknowledge that.
  virtual void CheckpointSoon() = 0;
  // Divergence is suspected: the monitor shall look soon.
  virtual void WakeMonitor() = 0;
  // Runs `task` on, whatever becomes of its caller, until this pooler stops.
  virtual void InBackground(std::string_view name, Awaitable<void> task) = 0;
};

struct AgentOptions {
  std::string pooler_dir;
  std::string user;      // of replication and rewinds
  std::string passfile;  // with that user's password
};

// One reactor. The mutating calls hold the pooler's action lock, which the monitor shares, and are bounded throughout,
// so that a frozen PostgreSQL can't block a Recruit for good.
class Agent {
 public:
  struct Seams {
    Postgres postgres;
    fs::Disk& disk;
    PromiseStore& promises;
    Mutex& action_lock;
    AgentHost& host;
  };
  Agent(AgentOptions options, MemberState& state, Seams seams, Logger logger);

  using ConsensusStatus = ::clustermetadata::ConsensusStatus;
  // FAILED_PRECONDITION with the reason; DEADLINE_EXCEEDED if replay stalls; UNAVAILABLE at once if PostgreSQL is
  // known not to answer, and within 2 s if it has just frozen. Repeating an accepted one is safe. A change of the rule
  // that is in progress is given up for one that would be accepted: perhaps nobody is left to acknowledge it.
  Awaitable<Result<ConsensusStatus>> Recruit(::clustermetadata::TermRevocation revocation, Deadline deadline);
  // FAILED_PRECONDITION (`must Recruit before Promote: ...`, or a higher rule is known); DATA_LOSS if the rule is known
  // with another content. Repeated in the same term after PostgreSQL has left recovery, it finishes the writes, or has
  // the decision that it finds confirmed.
  Awaitable<Result<ConsensusStatus>> Promote(::consensusdata::PromoteRequest request, Deadline deadline);
  // INVALID_ARGUMENT; UNAVAILABLE while a rewind is needed that the leader isn't ready for. Repeats and reordering are
  // fine.
  Awaitable<Result<ConsensusStatus>> SetPrimary(::clustermetadata::ReplicationPrimary primary, Deadline deadline);
  // FAILED_PRECONDITION, INVALID_ARGUMENT.
  Awaitable<Result<::clustermetadata::PoolerPosition>> UpdateConsensusRule(
      ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline);
  // The leader steps down: demoted as by a Recruit, back to serving reads. Returns the flush LSN.
  Awaitable<Result<std::string>> ResignLeadership(Deadline deadline);

  // --- what PostgreSQL says
  struct Observation {
    replication::ServerState server;
    Result<::clustermetadata::RulePosition> rules;
  };
  // Changes nothing. `locked`, with the action lock held: also notices, on a primary, that a change of the rule still
  // waits for its acknowledgement (`rules` is ABORTED then); else that one isn't seen.
  Awaitable<Result<Observation>> Look(bool locked, Deadline deadline);
  // Makes it the state.
  Result<> Take(Observation seen);

  // --- for the monitor, with the action lock held
  // Look and Take, within 2 s. An error leaves `position` as it was and clears `server`.
  Awaitable<Result<>> Observe(Deadline deadline);
  // Brings a member whose WAL may have diverged back under its recorded leader: dry run, pg_rewind if needed, restart.
  Awaitable<Result<>> Rejoin(Deadline deadline);
  bool CanRejoin() const;
  bool RewindWasInterrupted() const;
  // The plain follower's connection to the recorded leader.
  Awaitable<Result<>> RepairConninfo(Deadline deadline);
  // Both (open proposal) or the decision's list, if it isn't in force.
  Awaitable<Result<>> RepairSyncStandbys(Deadline deadline);
  // This process is new and finds its PostgreSQL leading: writes are admitted again once a quorum has confirmed that
  // the rule stands.
  Awaitable<Result<>> Readmit(Deadline deadline);
  // Everything but that confirmation is there for it.
  bool CouldReadmit() const;
  // --- for the monitor, without the action lock
  // After a promotion: settings of the standby that we were, with the lock held and if this member still leads; then
  // UNLOGGED tables, in the background.
  Awaitable<Result<>> FinishPromotion();

  // --- from memory
  ConsensusStatus Status() const;
  ::clustermetadata::AvailabilityStatus Availability() const;
  // No promise forbids the own rules.
  bool IsSelfRevoked() const;
  // The highest rule that this member knows of, by its WAL or by SetPrimary, names it.
  bool LeadsByRule() const;
  // Out of recovery, named by the decision, unrevoked, and promoted by that rule: PRIMARY.
  bool IsWritableLeader() const;
  replication::PrimaryConninfo ConninfoTo(const ::clustermetadata::PoolerAddress& primary) const;

 private:
  Awaitable<Result<Mutex::Guard>> Lock(std::string purpose, Deadline deadline);
  Awaitable<Result<>> StopTakingPart(Deadline deadline);
  Awaitable<Result<>> Demote(Duration drain, Deadline deadline);
  Awaitable<Result<>> RestartAsStandby(bool suspected_divergence);
  Awaitable<void> RestoreConninfo(std::string conninfo, Deadline deadline);
  bool Record(const ::clustermetadata::ReplicationPrimary& primary);
  Awaitable<Result<>> FollowNewer(Deadline deadline);

  Result<> CheckPromotable(const ::consensusdata::CoordinatorProposal& proposal) const;
  Result<> CheckNewest(const ::clustermetadata::ShardRule& rule) const;
  Awaitable<Result<>> LeaveRecovery(const ::consensusdata::CoordinatorProposal& proposal, Deadline deadline);
  Awaitable<Result<>> InstallRule(RuleWrite write, bool skip_outgoing, Deadline deadline);
  Awaitable<Result<>> ConfirmDecision(Deadline deadline);
  Awaitable<void> RecreateUnlogged();
  Awaitable<Result<>> UnlessSuperseded(::clustermetadata::RuleNumber rule, Awaitable<Result<>> write);
  bool Supersedes(const ::clustermetadata::RulePosition& position) const;
  Result<> Acceptable(const ::clustermetadata::TermRevocation& revocation) const;
  Result<RuleWrite> CohortChange(const ::multipoolermanagerdata::UpdateConsensusRuleRequest& request);
  Awaitable<Result<>> RewindAndRestart(Deadline deadline);

  Clock& clock() { return server_.clock(); }

  const AgentOptions options_;
  MemberState& state_;
  replication::PostgresProcess& process_;
  replication::Server& server_;
  ShardSchema& schema_;
  replication::DataDirectory& data_;
  fs::Disk& disk_;
  PromiseStore& promises_;
  Mutex& action_lock_;
  AgentHost& host_;
  Logger logger_;
  RuleStore rules_;
  struct WriteInProgress {
    ::clustermetadata::RuleNumber rule;
    Event over;
    std::optional<Result<>> result;
  };
  static Awaitable<void> KeepResult(Awaitable<Result<>> write, std::shared_ptr<WriteInProgress> progress);
  std::shared_ptr<WriteInProgress> write_in_progress_;
};

}  // namespace multigres::pooler::consensus
