// What multiorch does with members of a shard, in a test's hands.
#pragma once

#include "services/multipooler/manager/members_pgtest.h"

namespace multigres::pooler::manager::testing {

using multigres::consensus::Candidate;

template <class T>
bool Ok(const Result<T>& result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().ToString());
  return result.has_value();
}

inline void RunTest(Awaitable<void> (*body)(Reactor&)) {
  Reactor reactor;
  RunOnReactor(reactor, body(reactor));
}

// What multiorch does, with everybody reachable.
class Orchestration {
 public:
  explicit Orchestration(Members& members) : members_(members), tasks_(members.reactor.executor()) {}

  // The first appointment of a shard, or a failover to the best recruit, or to `chosen`.
  Awaitable<Result<::consensusdata::CoordinatorProposal>> Appoint(bool first,
                                                                  std::vector<std::size_t> recruits = {0, 1, 2},
                                                                  Member* chosen = nullptr) {
    auto candidates = co_await members_.Candidates();
    auto revocation = multigres::consensus::MakeRevocation(candidates, Members::Coordinator(), Now());
    if (!revocation) co_return std::unexpected(std::move(revocation.error()));
    std::vector<Candidate> recruited;
    for (const std::size_t index : recruits) {
      auto status = co_await members_.members[index]->manager->agent().Recruit(*revocation, Deadline());
      if (!status) co_return std::unexpected(std::move(status.error()));
      Candidate candidate;
      candidate.status = std::move(*status);
      candidate.address = members_.members[index]->address();
      recruited.push_back(std::move(candidate));
    }
    auto proposal = first ? FirstProposal(*revocation, recruited)
                          : multigres::consensus::BuildProposal(*revocation, recruited, Now());
    if (!proposal) co_return proposal;
    if (chosen != nullptr) {
      *proposal->mutable_proposal_leader() = chosen->address();
      *proposal->mutable_proposed_transition()->mutable_proposal()->mutable_leader_id() = chosen->config.id;
    }
    auto done = co_await Carry(*proposal);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return proposal;
  }

  Awaitable<void> Follow(Member& member, pb::ReplicationPrimary primary) {
    auto followed = co_await member.manager->agent().SetPrimary(std::move(primary), Deadline());
    if (!followed && followed.error().code() != Code::kUnavailable) Ok(followed);
  }

  Member& LeaderOf(const ::consensusdata::CoordinatorProposal& proposal) {
    for (auto& member : members_.members) {
      if (member->config.id.name() == proposal.proposal_leader().id().name()) return *member;
    }
    return *members_.members[0];
  }

  Awaitable<Result<>> Carry(const ::consensusdata::CoordinatorProposal& proposal) {
    Member& leader = LeaderOf(proposal);
    pb::ReplicationPrimary primary;
    *primary.mutable_position() = proposal.proposed_transition();
    *primary.mutable_primary() = proposal.proposal_leader();
    for (auto& member : members_.members) {
      if (member.get() != &leader && member->manager) tasks_.Spawn("follow", Follow(*member, primary));
    }
    ::consensusdata::PromoteRequest request;
    *request.mutable_proposal() = proposal;
    request.set_reason("test");
    auto promoted = co_await leader.manager->agent().Promote(std::move(request), Deadline());
    co_await tasks_.Join();
    if (!promoted) co_return std::unexpected(std::move(promoted.error()));
    co_return Result<>();
  }

 private:
  WallTime Now() { return members_.reactor.clock().WallNow(); }

  Result<::consensusdata::CoordinatorProposal> FirstProposal(const pb::TermRevocation& revocation,
                                                             const std::vector<Candidate>& recruits) {
    pb::ExternallyCertifiedRevocation certificate;
    *certificate.mutable_term_revocation() = revocation;
    pb::ShardRule rule;
    for (const Candidate& recruit : recruits) {
      *rule.add_cohort_members() = recruit.address.id();
      const auto& lsn = recruit.status.current_position().lsn();
      if (multigres::consensus::LsnOrLowest(lsn) > multigres::consensus::LsnOrLowest(certificate.frozen_lsn())) {
        certificate.set_frozen_lsn(lsn);
      }
    }
    *rule.mutable_durability_policy() = recruits[0].status.current_position().position().decision().durability_policy();
    return multigres::consensus::BuildCertifiedProposal(certificate, rule, recruits, Now());
  }

  Members& members_;
  TaskGroup tasks_;
};

inline Awaitable<Result<std::string>> Sql(Member& member, std::string sql) {
  co_return co_await member.sql->Scalar(std::move(sql), member.sql->clock().After(10s));
}

inline Awaitable<bool> Serves(Members& members, Member& member, RoutingRole role) {
  Member* which = &member;
  co_return co_await members.Until([which, role] {
    const ServingState state = which->manager->serving().state();
    return state.role == role && state.status == ServingStatus::kServing;
  });
}

// The member that serves as PRIMARY; null if there is none.
inline Member* Leader(Members& members) {
  for (auto& member : members.members) {
    if (member->manager && member->manager->serving().state().role == RoutingRole::kPrimary) return member.get();
  }
  return nullptr;
}

inline std::vector<std::size_t> Others(Members& members, const Member& leader) {
  std::vector<std::size_t> others;
  for (auto& member : members.members) {
    if (member.get() != &leader) others.push_back(member->index);
  }
  return others;
}

inline Awaitable<bool> RewindReady(Members& members, Member& leader) {
  Member* which = &leader;
  co_return co_await members.Until(
      [which] { return Members::StatusOf(*which).consensus_status().replication_primary().rewind_ready(); });
}

}  // namespace multigres::pooler::manager::testing
