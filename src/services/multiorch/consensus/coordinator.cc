#include "services/multiorch/consensus/coordinator.h"

#include "common/consensus/lsn.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"

namespace multigres::orch {
namespace {

using ::clustermetadata::ConsensusStatus;
using ::clustermetadata::ReplicationPrimary;
using ::clustermetadata::ShardRule;
using ::clustermetadata::TermRevocation;
using consensus::Candidate;

std::string MemberOf(const Participant& participant) {
  return consensus::MemberText(participant.candidate.status.id());
}

std::vector<Candidate> Recruitable(const std::vector<Participant>& participants) {
  std::vector<Candidate> candidates;
  for (const Participant& participant : participants) {
    if (participant.recruit) candidates.push_back(participant.candidate);
  }
  return candidates;
}

}  // namespace

// One attempt; outlives the coroutine that started it while late answers come in.
struct Coordinator::Round {
  std::vector<Participant> participants;
  TermRevocation revocation;
  std::vector<Candidate> recruits;
  std::size_t pending = 0;         // Recruits without an answer
  std::size_t pending_prompt = 0;  // those of them worth waiting for
  ReplicationPrimary target;
  bool promoted = false;  // or given up
  Event progress;
};

Coordinator::Coordinator(::clustermetadata::ID self, Executor executor, Clock& clock, Logger logger,
                         StatusSink on_status, CoordinatorOptions options)
    : self_(std::move(self)),
      clock_(clock),
      logger_(std::move(logger)),
      on_status_(std::move(on_status)),
      options_(options),
      tasks_(std::move(executor)) {}

void Coordinator::Report(const std::string& member, const ConsensusStatus& status) {
  if (on_status_) on_status_(member, status);
}

Awaitable<RuleChange> Coordinator::AppointLeader(std::vector<Participant> participants, std::string reason,
                                                 Deadline deadline) {
  const std::vector<Candidate> candidates = Recruitable(participants);
  const WallTime now = clock_.WallNow();
  if (consensus::MustBackOff(candidates, self_)) {
    co_return RuleChange{0, Fail(Code::kUnavailable, "another coordinator's attempt is under way")};
  }
  auto plan = consensus::Plan(candidates, self_, now);
  if (!plan) co_return RuleChange{0, std::unexpected(std::move(plan.error()))};
  const TermRevocation revocation = plan->term_revocation();
  Propose propose = [revocation, now](std::span<const Candidate> recruits) {
    return consensus::BuildProposal(revocation, recruits, now);
  };
  co_return co_await Run(std::move(participants), revocation, std::move(propose), std::move(reason), deadline);
}

Awaitable<RuleChange> Coordinator::Initialize(std::vector<Participant> participants, consensus::MemberSet cohort,
                                              ::clustermetadata::DurabilityPolicy policy, Deadline deadline) {
  for (Participant& participant : participants) participant.recruit = cohort.Contains(MemberOf(participant));
  const std::vector<Candidate> candidates = Recruitable(participants);
  auto revocation = consensus::MakeRevocation(candidates, self_, clock_.WallNow());
  if (!revocation) co_return RuleChange{0, std::unexpected(std::move(revocation.error()))};
  consensus::Lsn frozen = 0;
  for (const Candidate& candidate : candidates) {
    frozen = std::max(frozen, consensus::LsnOrLowest(candidate.status.current_position().lsn()).value_or(0));
  }
  ::clustermetadata::ExternallyCertifiedRevocation certificate;
  *certificate.mutable_term_revocation() = std::move(*revocation);
  certificate.set_frozen_lsn(consensus::LsnText(frozen));
  ShardRule incoming;
  *incoming.mutable_durability_policy() = std::move(policy);
  for (const std::string& member : cohort) {
    auto id = consensus::ParseMember(member);
    if (!id) co_return RuleChange{0, std::unexpected(std::move(id.error()))};
    *incoming.add_cohort_members() = std::move(*id);
  }
  co_return co_await ApplyCertified(std::move(participants), std::move(certificate), std::move(incoming), "ShardInit",
                                    deadline);
}

Awaitable<RuleChange> Coordinator::ApplyCertified(std::vector<Participant> participants,
                                                  ::clustermetadata::ExternallyCertifiedRevocation certificate,
                                                  ShardRule incoming, std::string reason, Deadline deadline) {
  const TermRevocation revocation = certificate.term_revocation();
  Propose propose = [certificate = std::move(certificate), incoming = std::move(incoming),
                     now = clock_.WallNow()](std::span<const Candidate> recruits) {
    return consensus::BuildCertifiedProposal(certificate, incoming, recruits, now);
  };
  co_return co_await Run(std::move(participants), revocation, std::move(propose), std::move(reason), deadline);
}

Awaitable<RuleChange> Coordinator::Run(std::vector<Participant> participants, TermRevocation revocation,
                                       Propose propose, std::string reason, Deadline deadline) {
  auto round = std::make_shared<Round>();
  round->participants = std::move(participants);
  round->revocation = std::move(revocation);
  const std::int64_t term = round->revocation.revoked_below_term();
  auto proposal = co_await Recruit(round, std::move(propose), deadline);
  if (!proposal) {
    logger_.Warn("consensus.recruit", {{"outcome", "failed"}, {"term", term}, {"error", proposal.error()}});
    co_return RuleChange{term, std::unexpected(std::move(proposal.error()))};
  }
  RuleChange change{.term = term, .rule = Fail(Code::kInternal, "not promoted"), .recruited_at = clock_.WallNow()};
  change.rule = co_await Promote(round, std::move(*proposal), std::move(reason), deadline);
  if (change.rule) change.decided_at = clock_.WallNow();
  co_return change;
}

Awaitable<Result<Coordinator::Proposal>> Coordinator::Recruit(std::shared_ptr<Round> round, Propose propose,
                                                              Deadline deadline) {
  logger_.Info("consensus.recruit", {{"outcome", "started"},
                                     {"term", round->revocation.revoked_below_term()},
                                     {"outgoing_rule", consensus::RuleNumberText(round->revocation.outgoing_rule())}});
  const Deadline until = clock_.After(options_.recruit_timeout).Earlier(deadline);
  for (std::size_t i = 0; i < round->participants.size(); ++i) {
    const Participant& participant = round->participants[i];
    if (!participant.recruit || participant.client == nullptr) continue;
    ++round->pending;
    if (participant.prompt) ++round->pending_prompt;
    tasks_.Spawn("recruit", RecruitOne(round, i, until));
  }
  Deadline settle;
  auto proposal = propose(round->recruits);
  while (round->pending > 0 && !(proposal && round->pending_prompt == 0)) {
    round->progress.Reset();
    if (!co_await round->progress.WaitUntil(clock_, until.Earlier(settle))) break;
    proposal = propose(round->recruits);
    if (!proposal && proposal.error().code() == Code::kAborted) break;
    if (proposal && settle.IsNever()) settle = clock_.After(options_.settle);
  }
  co_return proposal;
}

Awaitable<void> Coordinator::RecruitOne(std::shared_ptr<Round> round, std::size_t index, Deadline deadline) {
  const Participant& participant = round->participants[index];
  ::consensusdata::RecruitRequest request;
  *request.mutable_term_revocation() = round->revocation;
  auto response = co_await participant.client->Recruit(std::move(request), deadline);
  --round->pending;
  if (participant.prompt) --round->pending_prompt;
  if (response) {
    Candidate recruit = participant.candidate;
    recruit.status = response->consensus_status();
    *recruit.status.mutable_id() = participant.candidate.status.id();
    Report(MemberOf(participant), recruit.status);
    round->recruits.push_back(std::move(recruit));
  } else {
    logger_.Warn("recruit refused", {{"pooler", MemberOf(participant)},
                                     {"term", round->revocation.revoked_below_term()},
                                     {"error", response.error()}});
  }
  round->progress.Set();
}

Awaitable<Result<ShardRule>> Coordinator::Promote(std::shared_ptr<Round> round, Proposal proposal, std::string reason,
                                                  Deadline deadline) {
  const std::string leader = consensus::MemberText(proposal.proposal_leader().id());
  const std::string rule_text = consensus::RulePositionText(proposal.proposed_transition());
  logger_.Info("consensus.promote",
               {{"outcome", "started"}, {"leader", leader}, {"rule", rule_text}, {"reason", reason}});
  *round->target.mutable_position() = proposal.proposed_transition();
  *round->target.mutable_primary() = proposal.proposal_leader();
  std::shared_ptr<PoolerClient> client;
  for (std::size_t i = 0; i < round->participants.size(); ++i) {
    const Participant& participant = round->participants[i];
    if (MemberOf(participant) == leader) {
      client = participant.client;
    } else if (participant.client != nullptr) {
      tasks_.Spawn("set_primary", PointAtLeader(round, i, deadline));
    }
  }
  ::consensusdata::PromoteRequest request;
  for (const Candidate& recruit : round->recruits) *request.add_accepted_node_ids() = recruit.status.id();
  *request.mutable_proposal() = std::move(proposal);
  request.set_reason(reason);
  auto response =
      co_await client->Promote(std::move(request), clock_.After(options_.promote_timeout).Earlier(deadline));
  round->promoted = true;
  round->progress.Set();
  if (!response) {
    logger_.Error("consensus.promote", {{"outcome", "failed"}, {"leader", leader}, {"error", response.error()}});
    co_return Fail(std::move(response), "promote " + leader);
  }
  Report(leader, response->consensus_status());
  logger_.Info("consensus.promote", {{"outcome", "success"}, {"leader", leader}, {"rule", rule_text}});
  co_return response->consensus_status().current_position().position().decision();
}

// Until it is told, or the promotion is over: what is left then is the reconciling loop's.
Awaitable<void> Coordinator::PointAtLeader(std::shared_ptr<Round> round, std::size_t index, Deadline deadline) {
  const Participant& participant = round->participants[index];
  bool logged = false;
  while (!deadline.Passed(clock_.Now())) {
    ::consensusdata::SetPrimaryRequest request;
    *request.mutable_replication_primary() = round->target;
    auto response = co_await participant.client->SetPrimary(
        std::move(request), clock_.After(options_.set_primary_timeout).Earlier(deadline));
    if (response) {
      Report(MemberOf(participant), response->consensus_status());
      co_return;
    }
    if (!std::exchange(logged, true)) {
      logger_.Warn("set primary failed", {{"pooler", MemberOf(participant)}, {"error", response.error()}});
    }
    if (round->promoted) co_return;
    co_await SleepFor(clock_, options_.set_primary_retry);
  }
}

}  // namespace multigres::orch
