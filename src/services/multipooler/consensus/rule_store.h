// The shard's rule, changed by compare-and-swap with proof that a quorum holds the change.
#pragma once

#include <string>

#include "services/multipooler/consensus/postgres.h"
#include "services/multipooler/replication/acknowledgement.h"

namespace multigres::pooler::consensus {

struct RuleWrite {
  RuleCommit commit;
  // Whom the server waits for, and who must hold the write before it counts.
  multigres::consensus::SyncStandbys standbys;
  multigres::consensus::AckRequirement requirement;
};

class RuleStore {
 public:
  RuleStore(Postgres postgres, std::string self) : postgres_(postgres), self_(std::move(self)) {}

  // Writes the proposal and returns once the requirement holds it. A proposal that is there already with the same
  // number and content is only waited for. At most 30 s. ABORTED `rule conflict: current rule version changed since
  // last read`; otherwise the outcome may be unknown.
  Awaitable<Result<>> WriteProposal(RuleWrite write, Deadline deadline);
  // Proves, by a commit that changes nothing, that a quorum still holds and acknowledges the rule `write.rule`.
  Awaitable<Result<>> Confirm(RuleWrite write, Deadline deadline);
  // Makes the open proposal write.rule the decision. The same guarantees.
  Awaitable<Result<>> MarkDecision(RuleWrite write, Deadline deadline);

 private:
  Awaitable<Result<>> Execute(RuleWrite write, Deadline deadline);

  Postgres postgres_;
  const std::string self_;
};

}  // namespace multigres::pooler::consensus
