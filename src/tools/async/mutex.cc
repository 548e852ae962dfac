#include "tools/async/mutex.h"

namespace multigres {

namespace {

// Leaves the queue however its coroutine leaves the wait.
class Place {
 public:
  Place(std::list<std::uint64_t>& queue, std::uint64_t ticket, Event& changed)
      : queue_(queue), at_(queue.insert(queue.end(), ticket)), changed_(changed) {}
  ~Place() {
    queue_.erase(at_);
    changed_.Pulse();
  }
  bool IsFirst() const { return at_ == queue_.begin(); }

 private:
  std::list<std::uint64_t>& queue_;
  std::list<std::uint64_t>::iterator at_;
  Event& changed_;
};

}  // namespace

Awaitable<Result<Mutex::Guard>> Mutex::Lock(Clock& clock, Deadline deadline, std::string purpose) {
  Place place(queue_, next_ticket_++, changed_);
  while (locked_ || !place.IsFirst()) {
    const bool woken = co_await changed_.WaitUntil(clock, deadline);
    if (!woken && (locked_ || !place.IsFirst())) {
      co_return std::unexpected(
          Error(Code::kDeadlineExceeded, "still busy with: " + purpose_).WithExecution(Execution::kDidNotExecute));
    }
  }
  locked_ = true;
  purpose_ = std::move(purpose);
  co_return Guard(this);
}

void Mutex::Release() {
  locked_ = false;
  changed_.Pulse();
}

}  // namespace multigres
