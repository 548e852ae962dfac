#include "services/multipooler/consensus/rule_store.h"

#include "common/consensus/equivocation.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"

namespace multigres::pooler::consensus {

namespace {

using multigres::consensus::Enforced;
using multigres::consensus::HasProposal;
using multigres::consensus::RuleNumberText;
using multigres::consensus::SafetyRule;

constexpr Duration kWriteTimeout = std::chrono::seconds(30);

}  // namespace

Awaitable<Result<>> RuleStore::Execute(RuleWrite write, Deadline deadline) {
  replication::Server& server = postgres_.server;
  deadline = deadline.Earlier(server.clock().After(kWriteTimeout));
  multigres::consensus::MemberSet listed(write.standbys.names);
  const bool verified = Enforced(SafetyRule::kVerifiedAck);
  if (verified) {
    auto settled = co_await replication::WaitUntilOnlyThese(server, std::move(listed), deadline);
    if (!settled) co_return settled;
  }
  const std::string number = RuleNumberText(write.commit.rule.rule_number());
  const bool proposal = write.commit.kind == RuleCommit::Kind::kPropose;
  auto lsn = co_await postgres_.schema.CommitRule(std::move(write.commit), deadline);
  if (!lsn) co_return Fail(std::move(lsn), "write rule " + number);
  if (!verified || (proposal && !Enforced(SafetyRule::kProposalAcknowledged))) co_return Result<>();
  auto durable = co_await replication::WaitUntilDurable(server, write.requirement, self_, *lsn, deadline);
  if (!durable) co_return Fail(std::move(durable), "rule written, but not known to be held by a quorum");
  co_return Result<>();
}

Awaitable<Result<>> RuleStore::WriteProposal(RuleWrite write, Deadline deadline) {
  const ::clustermetadata::RulePosition& expected = write.commit.expected;
  const ::clustermetadata::ShardRule& rule = write.commit.rule;
  const bool there =
      HasProposal(expected) && multigres::consensus::SameNumber(expected.proposal().rule_number(), rule.rule_number());
  if (there && !multigres::consensus::SameContent(expected.proposal(), rule)) {
    co_return Fail(Code::kDataLoss,
                   fmt::format("rule {} is proposed already with another content", RuleNumberText(rule.rule_number())));
  }
  // A retry: something small that is certainly after the proposal, and waits as it did.
  if (there) co_return co_await Confirm(std::move(write), deadline);
  write.commit.kind = RuleCommit::Kind::kPropose;
  co_return co_await Execute(std::move(write), deadline);
}

Awaitable<Result<>> RuleStore::Confirm(RuleWrite write, Deadline deadline) {
  write.commit.kind = RuleCommit::Kind::kConfirm;
  co_return co_await Execute(std::move(write), deadline);
}

Awaitable<Result<>> RuleStore::MarkDecision(RuleWrite write, Deadline deadline) {
  write.commit.kind = RuleCommit::Kind::kDecide;
  co_return co_await Execute(std::move(write), deadline);
}

}  // namespace multigres::pooler::consensus
