// The server sockets that one multipooler may have open, shared by the pools of all its reactors.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <vector>

#include "tools/async/reactor.h"

namespace multigres::pooler::connpool {

// A permit is the right to one open socket. While permits are free, taking and returning one is an atomic operation.
// When none is, whoever has waited longest, on any reactor, gets the next.
class PermitBudget {
 public:
  explicit PermitBudget(std::size_t capacity) : capacity_(capacity), free_(static_cast<std::int64_t>(capacity)) {}
  PermitBudget(const PermitBudget&) = delete;
  PermitBudget& operator=(const PermitBudget&) = delete;

  std::size_t capacity() const { return capacity_; }
  std::size_t in_use() const;

  // False if none is free, or if others already wait.
  bool TryTake();
  void Return();

  // Joins the queue. `granted` runs once on `reactor`, owning a permit, unless Leave() came first. A grant that was on
  // its way when the waiter left goes on to the next.
  std::uint64_t Wait(Reactor& reactor, TimePoint since, std::move_only_function<void()> granted);
  // From the reactor that waited.
  void Leave(std::uint64_t waiter);
  // Since when the longest waiter waits; TimePoint::max() if nobody does.
  TimePoint OldestWait() const { return TimePoint(Duration(oldest_.load(std::memory_order_relaxed))); }

  // A pool that can close an idle socket when somebody elsewhere is out of permits. `close_one` runs on `reactor` and
  // says whether it closed one. Register before use, for the budget's whole life.
  void AddReclaimer(Reactor& reactor, std::function<bool()> close_one);

 private:
  struct Waiter {
    std::uint64_t id;
    TimePoint since;
    Reactor* reactor;
    std::move_only_function<void()> granted;
  };
  struct Reclaimer {
    Reactor* reactor;
    std::function<bool()> close_one;
  };
  void Deliver(std::uint64_t id, Reactor& reactor);
  void AskReclaimer(std::size_t index, std::size_t left);
  void UpdateOldest();

  const std::size_t capacity_;
  std::atomic<std::int64_t> free_;
  std::atomic<std::int64_t> waiting_ = 0;
  std::atomic<std::int64_t> oldest_ = Duration::max().count();
  std::atomic<std::size_t> next_reclaimer_ = 0;
  std::vector<Reclaimer> reclaimers_;

  mutable std::mutex mutex_;  // the rest, touched only while permits are short
  std::uint64_t next_id_ = 1;
  std::list<Waiter> queue_;    // by `since`
  std::list<Waiter> granted_;  // permit theirs, message on its way
};

}  // namespace multigres::pooler::connpool
