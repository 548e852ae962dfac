#include "test/sim/by_hand.h"

#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "test/sim/judged_calls.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
namespace data = ::multipoolermanagerdata;
using std::chrono::milliseconds;
using std::chrono::seconds;

Shard::Shard(ClusterOptions options) : cluster(options) {
  if (!Settles(seconds(60))) cluster.trace.Violate("no first leader: {}", cluster.WhyNotSettled());
  cluster.StartClients(2);
  cluster.Run(seconds(1));
}

Host& Shard::Leader() {
  return *cluster.Serving().at(0);
}

std::vector<Host*> Shard::Followers() {
  const Host& leader = Leader();
  std::vector<Host*> followers;
  for (std::size_t i = 0; i < cluster.hosts(); ++i) {
    if (&cluster.host(i) != &leader) followers.push_back(&cluster.host(i));
  }
  return followers;
}

std::int64_t Shard::Term(Host& host) {
  return host.postgres.VisibleRules()->decision().rule_number().coordinator_term();
}

bool Shard::Settles(Duration limit) {
  return cluster.RunUntil([this] { return cluster.Settled(); }, limit);
}

bool Shard::AnotherLeads(const Host& old, Duration limit) {
  const auto another = [&] {
    const auto serving = cluster.Serving();
    return std::ranges::any_of(serving, [&](Host* host) { return host != &old; });
  };
  return cluster.RunUntil(another, limit);
}

bool Shard::WritesGoOn(Duration limit) {
  const std::size_t before = cluster.acknowledged_writes();
  return cluster.RunUntil([&] { return cluster.acknowledged_writes() > before + 3; }, limit);
}

ByHand::ByHand() : Shard({.seed = 11, .members = 4}) {
  cluster.orchestrator(0).Kill();
  cluster.Run(milliseconds(100));
}

pb::RuleNumber ByHand::RuleOf(Host& host) {
  return host.postgres.VisibleRules()->decision().rule_number();
}

pb::TermRevocation ByHand::Promise(const std::string& coordinator, int terms) {
  const pb::RuleNumber rule = RuleOf(Leader());
  return ::multigres::consensus::testing::Promise(rule.coordinator_term() + terms, rule.coordinator_term(),
                                                  rule.leader_subterm(), coordinator);
}

ByHand::Status ByHand::Recruit(Host& host, TermRevocation revocation) {
  return Await(Begin(host, [revocation](PoolerProcess& process) -> Awaitable<Status> {
    co_return co_await sim::Recruit(process, revocation, Deadline::Never());
  }));
}

ByHand::Status ByHand::SetPrimary(Host& host, pb::ReplicationPrimary primary) {
  return Await(Begin(host, [primary](PoolerProcess& process) -> Awaitable<Status> {
    co_return co_await process.manager().agent().SetPrimary(primary, Deadline::Never());
  }));
}

pb::RulePosition ByHand::Transition(Host& leader, const TermRevocation& revocation) {
  pb::RulePosition transition = *leader.postgres.VisibleRules();
  pb::ShardRule& rule = *transition.mutable_proposal();
  rule = transition.decision();
  *rule.mutable_rule_number() = ::multigres::consensus::MakeRuleNumber(revocation.revoked_below_term(), 0);
  *rule.mutable_leader_id() = leader.id();
  *rule.mutable_coordinator_id() = revocation.accepted_coordinator_id();
  return transition;
}

ByHand::Answer ByHand::BeginPromote(Host& leader, const TermRevocation& revocation) {
  ::consensusdata::PromoteRequest request;
  *request.mutable_proposal()->mutable_term_revocation() = revocation;
  *request.mutable_proposal()->mutable_proposal_leader() = LedBy(leader, revocation).primary();
  *request.mutable_proposal()->mutable_proposed_transition() = Transition(leader, revocation);
  return Begin(leader, [request](PoolerProcess& process) -> Awaitable<Status> {
    co_return co_await sim::Promote(process, request, Deadline::Never());
  });
}

ByHand::Answer ByHand::Change(Host& leader, data::UpdateConsensusRuleRequest request) {
  *request.mutable_coordinator_id() = ::multigres::consensus::testing::Coordinator("x");
  return Begin(leader, [request](PoolerProcess& process) -> Awaitable<Status> {
    auto position = co_await sim::UpdateConsensusRule(process, request, Deadline::Never());
    if (!position) co_return std::unexpected(std::move(position.error()));
    co_return pb::ConsensusStatus();
  });
}

ByHand::Answer ByHand::BeginAdvance(Host& leader, const pb::RuleNumber& expected) {
  data::UpdateConsensusRuleRequest request;
  request.set_operation(data::RULE_OPERATION_ADVANCE);
  *request.mutable_expected_outgoing_rule() = expected;
  return Change(leader, std::move(request));
}

ByHand::Status ByHand::Advance(Host& leader) {
  return Await(BeginAdvance(leader, RuleOf(leader)));
}

ByHand::Answer ByHand::BeginRemove(Host& leader, const Host& member) {
  data::UpdateConsensusRuleRequest request;
  request.set_operation(data::RULE_OPERATION_COHORT_REMOVE);
  *request.add_standby_ids() = member.id();
  *request.mutable_expected_outgoing_rule() = RuleOf(leader);
  return Change(leader, std::move(request));
}

ByHand::Status ByHand::Await(Answer answer) {
  (void)cluster.RunUntil([&answer] { return answer->has_value(); }, seconds(90));
  return *answer ? std::move(**answer) : Status(Fail(Code::kUnknown, "no answer"));
}

pb::ReplicationPrimary ByHand::Led(Host& leader) {
  pb::ReplicationPrimary primary;
  *primary.mutable_position() = *leader.postgres.VisibleRules();
  *primary.mutable_primary()->mutable_id() = leader.id();
  primary.mutable_primary()->set_host(leader.member());
  primary.mutable_primary()->set_postgres_port(5432);
  return primary;
}

pb::ReplicationPrimary ByHand::LedBy(Host& leader, const TermRevocation& revocation) {
  pb::ReplicationPrimary primary = Led(leader);
  *primary.mutable_position() = Transition(leader, revocation);
  return primary;
}

ByHand::Answer ByHand::Begin(Host& host, Work work) {
  auto answer = std::make_shared<std::optional<Status>>();
  host.pooler()->calls().Spawn("ask", [](PoolerProcess& process, Work work, Answer answer) -> Awaitable<void> {
    *answer = co_await work(process);
  }(*host.pooler(), std::move(work), answer));
  return answer;
}

}  // namespace multigres::sim
