// How a COPY under way is cancelled: so that PostgreSQL's answer still comes.
#pragma once

#include <memory>

#include "common/pgclient/connection.h"
#include "common/queryservice/query_service.h"
#include "tools/async/event.h"
#include "tools/async/task_group.h"

namespace multigres::pooler::executor {

// 08007: what might have committed was cancelled, and PostgreSQL never said what came of it.
Error NotCancelledInTime();

// Watches a call's scope. When that ends PostgreSQL is asked to cancel what the connection runs, and the connection's
// waits, made with bounds(), go on until it has said what became of it; at most for kPatience.
class Interruption {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(2);

  // All must outlive it, but the tasks it starts need none but the connection's reactor.
  Interruption(pgclient::Connection& connection, TaskGroup& tasks, queryservice::CallScope scope);
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // Why the scope ended; kNone while it hasn't.
  CancelReason reason() const { return reason_; }
  pgclient::Bounds bounds() { return {Deadline(), &unanswered_}; }
  // Takes no note of the scope any more, and waits until no cancel request is on its way that could hit what the
  // connection runs next. False: that can't be told, and the connection mustn't be used again.
  Awaitable<bool> Settle();

 private:
  void Interrupt(CancelReason reason);
  static Awaitable<void> Ask(Reactor& reactor, pgclient::CancelTarget target, std::shared_ptr<Event> asked);

  pgclient::Connection& connection_;
  TaskGroup& tasks_;
  CancelReason reason_ = CancelReason::kNone;
  CancelToken unanswered_;
  std::shared_ptr<Event> asked_;  // from the interruption on
  Timer timer_;                   // of the scope's deadline, then of our patience
  CancelToken::Subscription cancelled_;
};

}  // namespace multigres::pooler::executor
