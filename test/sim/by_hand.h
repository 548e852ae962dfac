// Shards for scripted scenarios: with their orchestrators, or led through each step by hand.
#pragma once

#include "common/consensus/testing.h"
#include "test/sim/cluster.h"

namespace multigres::sim {

// Three members in three cells with a leader and two clients that write, unless told otherwise.
class Shard {
 public:
  explicit Shard(ClusterOptions options = {.seed = 42});

  // The only one that admits writes: there must be one.
  Host& Leader();
  std::vector<Host*> Followers();
  std::int64_t Term(Host& host);
  bool Settles(Duration limit = std::chrono::seconds(120));
  bool AnotherLeads(const Host& old, Duration limit = std::chrono::seconds(120));
  bool WritesGoOn(Duration limit = std::chrono::seconds(20));
  void CheckNothingLost() { cluster.judge.CheckComplete(Leader().postgres, "at the end"); }
  void CutOff(Host& a, Host& b) { cluster.network.CutBoth(a.index(), b.index()); }

  Cluster cluster;
};

// Four members without an orchestrator: each call is made here, and nothing else happens. The judges see the answers.
class ByHand : public Shard {
 public:
  using TermRevocation = ::clustermetadata::TermRevocation;
  using Status = Result<::clustermetadata::ConsensusStatus>;
  using Answer = std::shared_ptr<std::optional<Status>>;

  ByHand();

  // Against the leader's rule, for `term` terms after its own.
  TermRevocation Promise(const std::string& coordinator, int terms = 1);
  Status Recruit(Host& host, TermRevocation revocation);
  Status SetPrimary(Host& host, ::clustermetadata::ReplicationPrimary primary);
  // `leader` by the revocation's term, with the cohort of before; the answer comes once the rule is decided.
  Answer BeginPromote(Host& leader, const TermRevocation& revocation);
  // Subterm + 1, by the leader, as asked of `expected`.
  Status Advance(Host& leader);
  Answer BeginAdvance(Host& leader, const ::clustermetadata::RuleNumber& expected);
  Answer BeginRemove(Host& leader, const Host& member);
  Status Await(Answer answer);

  ::clustermetadata::RuleNumber RuleOf(Host& host);
  // The leader's rule as SetPrimary tells it: its own, or the one that it is to be promoted by.
  ::clustermetadata::ReplicationPrimary Led(Host& leader);
  ::clustermetadata::ReplicationPrimary LedBy(Host& leader, const TermRevocation& revocation);

 private:
  using Work = std::function<Awaitable<Status>(PoolerProcess&)>;
  ::clustermetadata::RulePosition Transition(Host& leader, const TermRevocation& revocation);
  Answer Change(Host& leader, ::multipoolermanagerdata::UpdateConsensusRuleRequest request);
  Answer Begin(Host& host, Work work);
};

}  // namespace multigres::sim
