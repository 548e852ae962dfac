#include "test/sim/judged_calls.h"

#include "common/consensus/rule_number.h"
#include "test/sim/cluster.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;

Awaitable<Result<pb::ConsensusStatus>> Recruit(PoolerProcess& pooler, pb::TermRevocation revocation,
                                               Deadline deadline) {
  auto status = co_await pooler.manager().agent().Recruit(std::move(revocation), deadline);
  if (!status || pooler.access().severed()) co_return status;
  Host& host = pooler.host();
  host.cluster().rule_judge.OnRecruited(host.postgres, *status);
  host.cluster().judge.OnRecruited(host.postgres);
  co_return status;
}

Awaitable<Result<pb::ConsensusStatus>> Promote(PoolerProcess& pooler, ::consensusdata::PromoteRequest request,
                                               Deadline deadline) {
  const pb::RuleNumber number = request.proposal().proposed_transition().proposal().rule_number();
  auto status = co_await pooler.manager().agent().Promote(std::move(request), deadline);
  if (status && !pooler.access().severed()) {
    pooler.host().cluster().judge.OnDecided(pooler.host().postgres, number);
  }
  co_return status;
}

Awaitable<Result<pb::PoolerPosition>> UpdateConsensusRule(PoolerProcess& pooler,
                                                          ::multipoolermanagerdata::UpdateConsensusRuleRequest request,
                                                          Deadline deadline) {
  const pb::RuleNumber expected = request.expected_outgoing_rule();
  auto position = co_await pooler.manager().agent().UpdateConsensusRule(std::move(request), deadline);
  if (!position || pooler.access().severed()) co_return position;
  // Nothing was to be changed if it is still that one.
  const pb::RuleNumber& number = position->position().decision().rule_number();
  if (::multigres::consensus::SameNumber(number, expected)) co_return position;
  Host& host = pooler.host();
  host.cluster().rule_judge.OnRuleChanged(expected, number);
  host.cluster().judge.OnDecided(host.postgres, number);
  co_return position;
}

}  // namespace multigres::sim
