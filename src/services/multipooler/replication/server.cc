#include "services/multipooler/replication/server.h"

namespace multigres::pooler::replication {

namespace {

constexpr Duration kSoon = std::chrono::seconds(2);

}  // namespace

Awaitable<Result<ServerState>> Server::ReadStateSoon(Deadline deadline) {
  co_return co_await ReadState(deadline.Earlier(clock_.After(kSoon)));
}

}  // namespace multigres::pooler::replication
