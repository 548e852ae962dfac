// Drives one rule change of a shard: recruit, propose, promote, point everybody else at the new leader (ha.md, "Rule
// change, step by step"). Safety is in the poolers' promises; a coordinator may die, or race another, at any step.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/consensus/member.h"
#include "common/consensus/proposal.h"
#include "services/multiorch/health/pooler_client.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::orch {

struct CoordinatorOptions {
  // For one Recruit. A primary drains (5 s) and restarts within it.
  Duration recruit_timeout = std::chrono::seconds(15);
  // Once the recruits suffice, how long prompt members may still come in: the most advanced of them then leads, and
  // nobody else needs a rewind.
  Duration settle = std::chrono::milliseconds(500);
  // For one Promote. A follower whose acknowledgement the rule needs may have to be rewound within it.
  Duration promote_timeout = std::chrono::seconds(30);
  Duration set_primary_timeout = std::chrono::seconds(5);
  // Between attempts to point one pooler at the leader being promoted.
  Duration set_primary_retry = std::chrono::milliseconds(200);
};

// A pooler of the shard. `candidate.status` is what is known of it before the round.
struct Participant {
  consensus::Candidate candidate;
  std::shared_ptr<PoolerClient> client;
  bool recruit = true;  // false (ineligible): only told whom to follow
  // Its PostgreSQL is a standby that answers: worth a moment's wait. A frozen or dead one, and a primary, which drains
  // first, are waited for only if the others don't suffice.
  bool prompt = true;
};

struct RuleChange {
  // The term that was tried; 0 if nothing was asked of anybody.
  std::int64_t term = 0;
  // The rule in force now, as decided by its leader.
  Result<::clustermetadata::ShardRule> rule;
  // When the recruits sufficed, and when the leader said that its rule is decided.
  std::optional<WallTime> recruited_at;
  std::optional<WallTime> decided_at;
};

class Coordinator {
 public:
  using StatusSink = std::function<void(const std::string& member, const ::clustermetadata::ConsensusStatus&)>;

  // `on_status` is told of every consensus status that an answer carries.
  Coordinator(::clustermetadata::ID self, Executor executor, Clock& clock, Logger logger, StatusSink on_status,
              CoordinatorOptions options = {});

  // A failover: same cohort and policy. UNAVAILABLE while another coordinator's fresh attempt is under way.
  Awaitable<RuleChange> AppointLeader(std::vector<Participant> participants, std::string reason, Deadline deadline);
  // The first rule of a shard: nothing has ever been acknowledged, so the best position observed is certified.
  Awaitable<RuleChange> Initialize(std::vector<Participant> participants, consensus::MemberSet cohort,
                                   ::clustermetadata::DurabilityPolicy policy, Deadline deadline);
  // A change that somebody else certifies. The certificate's revocation is used as it is.
  Awaitable<RuleChange> ApplyCertified(std::vector<Participant> participants,
                                       ::clustermetadata::ExternallyCertifiedRevocation certificate,
                                       ::clustermetadata::ShardRule incoming, std::string reason, Deadline deadline);

  // Ends what attempts have left running. Await before destruction, with no attempt in progress.
  Awaitable<void> Stop() { return tasks_.CancelAndJoin(); }

 private:
  using Proposal = ::consensusdata::CoordinatorProposal;
  using Propose = std::function<Result<Proposal>(std::span<const consensus::Candidate> recruits)>;
  struct Round;

  Awaitable<Result<Proposal>> Recruit(std::shared_ptr<Round> round, Propose propose, Deadline deadline);
  Awaitable<RuleChange> Run(std::vector<Participant> participants, ::clustermetadata::TermRevocation revocation,
                            Propose propose, std::string reason, Deadline deadline);
  Awaitable<Result<::clustermetadata::ShardRule>> Promote(std::shared_ptr<Round> round, Proposal proposal,
                                                          std::string reason, Deadline deadline);
  Awaitable<void> RecruitOne(std::shared_ptr<Round> round, std::size_t index, Deadline deadline);
  Awaitable<void> PointAtLeader(std::shared_ptr<Round> round, std::size_t index, Deadline deadline);
  void Report(const std::string& member, const ::clustermetadata::ConsensusStatus& status);

  ::clustermetadata::ID self_;
  Clock& clock_;
  Logger logger_;
  StatusSink on_status_;
  CoordinatorOptions options_;
  TaskGroup tasks_;
};

}  // namespace multigres::orch
