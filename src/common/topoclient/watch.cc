#include "common/topoclient/watch.h"

#include "common/topoclient/errors.h"

namespace multigres::topo {

void Watch::Feed::End(Error error) {
  if (events.closed()) return;
  WatchEvent last;
  last.error = std::move(error);
  events.Push(std::move(last));
  events.Close();
}

Awaitable<std::optional<WatchEvent>> Watch::Next() {
  // The feed outlives a watch that is destroyed by somebody else's cancellation of this wait.
  auto feed = feed_;
  co_return co_await feed->events.Pop();
}

void Watch::Cancel() {
  feed_->End(TopoError(ErrorKind::kInterrupted, "watch cancelled"));
  feed_->cancel.Cancel(CancelReason::kCancelled);
}

}  // namespace multigres::topo
