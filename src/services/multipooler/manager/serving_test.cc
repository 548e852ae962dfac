#include "services/multipooler/manager/serving.h"

#include <gtest/gtest.h>

namespace multigres::pooler::manager {
namespace {

// What has been posted has run.
Awaitable<void> Turn() {
  co_await asio::post(co_await asio::this_coro::executor, kAwait);
}

TEST(ServingBoard, ListenerHearsTheCurrentStateAndEveryChangeInOrder) {
  Reactor reactor;
  ServingBoard board;
  std::vector<std::string> heard;
  RunOnReactor(reactor, [](Reactor& reactor, ServingBoard& board, std::vector<std::string>& heard) -> Awaitable<void> {
    auto subscription =
        board.Listen(reactor, [&heard](const ServingState& state) { heard.push_back(ToString(state)); });
    board.Publish({.status = ServingStatus::kServing, .role = RoutingRole::kReplica, .coordinator_term = 1});
    board.Publish({.status = ServingStatus::kServing, .role = RoutingRole::kReplica, .coordinator_term = 1});
    board.Publish({.status = ServingStatus::kServing, .role = RoutingRole::kPrimary, .coordinator_term = 2});
    co_await Turn();
    subscription.Reset();
    board.Publish({.status = ServingStatus::kDisabled});
    co_await Turn();
  }(reactor, board, heard));
  EXPECT_EQ(heard, (std::vector<std::string>{"UNKNOWN DISABLED 0.0", "REPLICA SERVING 1.0", "PRIMARY SERVING 2.0"}));
}

TEST(ServingBoard, ItsEndIsHeardThoughTheStateIsTheSame) {
  Reactor reactor;
  ServingBoard board;
  std::vector<bool> ended;
  RunOnReactor(reactor, [](Reactor& reactor, ServingBoard& board, std::vector<bool>& ended) -> Awaitable<void> {
    auto subscription = board.Listen(reactor, [&](const ServingState&) { ended.push_back(board.ended()); });
    co_await Turn();
    board.End();
    co_await Turn();
    subscription.Reset();
  }(reactor, board, ended));
  EXPECT_EQ(ended, (std::vector<bool>{false, true}));
}

}  // namespace
}  // namespace multigres::pooler::manager
