#include "services/multipooler/replication/acknowledgement.h"

#include "tools/async/event.h"

namespace multigres::pooler::replication {

namespace {

constexpr Duration kPoll = std::chrono::milliseconds(2);

}  // namespace

Awaitable<Result<>> WaitUntilOnlyThese(Server& server, ::multigres::consensus::MemberSet allowed, Deadline deadline) {
  while (true) {
    auto followers = co_await server.ReadFollowers(deadline);
    if (!followers) co_return std::unexpected(std::move(followers.error()));
    const auto excluded = std::ranges::find_if(*followers, [&allowed](const Follower& follower) {
      return follower.sync_priority > 0 && !allowed.Contains(follower.application_name);
    });
    if (excluded == followers->end()) co_return Result<>();
    if (deadline.Passed(server.clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     fmt::format("{} still counts as a synchronous standby", excluded->application_name));
    }
    co_await SleepFor(server.clock(), kPoll);
  }
}

Awaitable<Result<>> WaitUntilDurable(Server& server, ::multigres::consensus::AckRequirement requirement,
                                     std::string leader, Lsn lsn, Deadline deadline) {
  while (true) {
    auto followers = co_await server.ReadFollowers(deadline);
    if (!followers) co_return std::unexpected(std::move(followers.error()));
    ::multigres::consensus::MemberSet ackers;
    for (const Follower& follower : *followers) {
      if (follower.flush_lsn && *follower.flush_lsn >= lsn) ackers.Insert(follower.application_name);
    }
    if (::multigres::consensus::IsDurable(requirement.policy, requirement.cohort, leader, ackers)) co_return Result<>();
    if (deadline.Passed(server.clock().Now())) {
      co_return Fail(Code::kDeadlineExceeded, fmt::format("WAL up to {} is held by [{}] only, besides {}",
                                                          ::multigres::consensus::LsnText(lsn), ackers.Text(), leader));
    }
    co_await SleepFor(server.clock(), kPoll);
  }
}

}  // namespace multigres::pooler::replication
