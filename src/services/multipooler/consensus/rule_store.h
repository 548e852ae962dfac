// The shard's rule in its own database: read, and changed by compare-and-swap with proof that a quorum holds the
// change.
#pragma once

#include <string>

#include "clustermetadata.pb.h"
#include "common/consensus/member.h"
#include "services/multipooler/replication/acknowledgement.h"
#include "services/multipooler/replication/admin_sessions.h"

namespace multigres::pooler::consensus {

struct RuleWrite {
  ::clustermetadata::RulePosition expected;  // what the writer read: the CAS is on its numbers
  ::clustermetadata::ShardRule rule;         // the incoming rule
  std::string event_type;                    // promotion, replication_config
  std::string operation;                     // add, remove, advance; empty = NULL
  std::string reason;
  multigres::consensus::MemberSet accepted_members;
  // Whom the server waits for, and who must hold the write before it counts.
  multigres::consensus::SyncStandbys standbys;
  multigres::consensus::AckRequirement requirement;
};

class RuleStore {
 public:
  RuleStore(replication::AdminSessions& sessions, std::string self) : sessions_(sessions), self_(std::move(self)) {}

  // On a primary with the row locked, so that a write that still waits for its acknowledgement isn't mistaken for a
  // rule (UNAVAILABLE then); plain on a standby. At most 2 s. NOT_FOUND if the shard was never bootstrapped.
  Awaitable<Result<::clustermetadata::RulePosition>> Read(bool in_recovery, Deadline deadline);

  // Writes the proposal columns and a history row (decided = false) in one statement, and returns once the requirement
  // holds it. A proposal that is there already with the same number and content is only waited for. At most 30 s.
  // ABORTED `rule conflict: current rule version changed since last read`; otherwise the outcome may be unknown.
  Awaitable<Result<>> WriteProposal(RuleWrite write, Deadline deadline);
  // Proves, by a commit that changes nothing, that a quorum still holds and acknowledges the rule `write.rule`.
  Awaitable<Result<>> Confirm(RuleWrite write, Deadline deadline);
  // Makes the open proposal write.rule the decision. The same guarantees.
  Awaitable<Result<>> MarkDecision(RuleWrite write, Deadline deadline);

 private:
  Awaitable<Result<>> Execute(std::string sql, RuleWrite write, Deadline deadline);
  Awaitable<Result<replication::Lsn>> Commit(std::string sql, Deadline deadline);

  replication::AdminSessions& sessions_;
  const std::string self_;
};

}  // namespace multigres::pooler::consensus
