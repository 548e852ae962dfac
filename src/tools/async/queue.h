// A FIFO between coroutines of one reactor.
#pragma once

#include <deque>
#include <optional>

#include "tools/async/event.h"

namespace multigres {

// Unbounded by itself: producers that can outrun their consumer look at size() first. Close() lets the consumer drain
// what is there and then see the end.
template <class T>
class Queue {
 public:
  void Push(T item) {
    items_.push_back(std::move(item));
    changed_.Pulse();
  }
  void Close() {
    closed_ = true;
    changed_.Pulse();
  }
  bool closed() const { return closed_; }
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }

  // The next item, or nothing once the queue is closed and drained.
  Awaitable<std::optional<T>> Pop() {
    while (items_.empty() && !closed_) co_await changed_.Wait();
    co_return TryPop();
  }
  // As Pop(); also nothing at the deadline (the queue then isn't closed()).
  Awaitable<std::optional<T>> PopUntil(Clock& clock, Deadline deadline) {
    while (items_.empty() && !closed_) {
      if (!co_await changed_.WaitUntil(clock, deadline)) break;
    }
    co_return TryPop();
  }
  std::optional<T> TryPop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

 private:
  std::deque<T> items_;
  bool closed_ = false;
  Event changed_;
};

}  // namespace multigres
