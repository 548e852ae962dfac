// The schema `multigres` of the shard's database: the rule, the heartbeat, and what else the pooler keeps there. A
// seam: behind it is SQL (sql_shard_schema.h) and, in the simulation, a database in memory.
#pragma once

#include <optional>
#include <string>

#include "clustermetadata.pb.h"
#include "common/consensus/member.h"
#include "services/multipooler/replication/server_state.h"
#include "tools/async/awaitable.h"
#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::pooler::consensus {

// One statement about the rule, which changes both tables.
struct RuleCommit {
  enum class Kind : std::uint8_t {
    kPropose,  // the proposal columns, and a history row that isn't decided
    kDecide,   // the open proposal `rule` becomes the decision
    kConfirm,  // nothing changes; the commit is certainly after whatever stands there
  };
  Kind kind = Kind::kPropose;
  ::clustermetadata::RulePosition expected;  // what the writer read: the CAS is on its numbers
  ::clustermetadata::ShardRule rule;         // the incoming rule
  std::string event_type;                    // promotion, replication_config
  std::string operation;                     // add, remove, advance; empty = NULL
  std::string reason;
  multigres::consensus::MemberSet accepted_members;
};

// One reactor; errors and deadlines as replication::Server.
class ShardSchema {
 public:
  virtual ~ShardSchema() = default;

  // Creates the tables that are missing, and the bootstrap row {0,1}: no leader, empty cohort, the given policy. Nobody
  // acknowledges it.
  virtual Awaitable<Result<>> Create(::clustermetadata::DurabilityPolicy policy, std::string bootstrapper,
                                     Deadline deadline) = 0;
  // UNLOGGED tables are lost when a standby becomes primary: makes the pooler's own anew.
  virtual Awaitable<Result<>> RecreateUnlogged(Deadline deadline) = 0;

  // Unless `plain`, on a primary, with the row locked for a moment, so that a write that still waits for its
  // acknowledgement is noticed (ABORTED); a plain read doesn't see it, and a standby knows no other. At most 2 s.
  // NOT_FOUND if the shard was never bootstrapped.
  virtual Awaitable<Result<::clustermetadata::RulePosition>> ReadRule(bool plain, Deadline deadline) = 0;
  // Commits, waits as the server's list of synchronous standbys says, and returns the WAL position up to which
  // everything of the commit lies. ABORTED `rule conflict: current rule version changed since last read`; UNKNOWN if
  // the wait was cancelled, which PostgreSQL calls a success.
  virtual Awaitable<Result<replication::Lsn>> CommitRule(RuleCommit commit, Deadline deadline) = 0;

  // The leader's sign of life. Not acknowledged by anybody: it must neither wait for standbys nor count as a write.
  virtual Awaitable<Result<>> WriteHeartbeat(std::string leader, std::int64_t ts_ns, Deadline deadline) = 0;
  // Empty if there is none yet.
  virtual Awaitable<Result<std::optional<std::int64_t>>> ReadHeartbeat(Deadline deadline) = 0;
};

}  // namespace multigres::pooler::consensus
