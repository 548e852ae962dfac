#include "services/multipooler/connpool/permit_budget.h"

#include <algorithm>

namespace multigres::pooler::connpool {

std::size_t PermitBudget::in_use() const {
  return capacity_ - static_cast<std::size_t>(std::max<std::int64_t>(0, free_.load(std::memory_order_relaxed)));
}

bool PermitBudget::TryTake() {
  if (waiting_.load() > 0) return false;
  std::int64_t free = free_.load();
  while (free > 0) {
    if (free_.compare_exchange_weak(free, free - 1)) return true;
  }
  return false;
}

void PermitBudget::Return() {
  // Free first, then look for waiters; Wait() announces itself first, then looks for a free permit. Whichever order the
  // two run in, one of them sees the other.
  free_.fetch_add(1);
  if (waiting_.load() == 0) return;
  std::unique_lock lock(mutex_);
  while (!queue_.empty()) {
    std::int64_t free = free_.load();
    if (free <= 0) return;
    if (!free_.compare_exchange_strong(free, free - 1)) continue;
    granted_.splice(granted_.end(), queue_, queue_.begin());
    waiting_.fetch_sub(1);
    UpdateOldest();
    Reactor& reactor = *granted_.back().reactor;
    const std::uint64_t id = granted_.back().id;
    reactor.Post([this, id, &reactor] { Deliver(id, reactor); });
  }
}

std::uint64_t PermitBudget::Wait(Reactor& reactor, TimePoint since, std::move_only_function<void()> granted) {
  std::uint64_t id = 0;
  {
    std::unique_lock lock(mutex_);
    id = next_id_++;
    auto before = std::find_if(queue_.begin(), queue_.end(), [&](const Waiter& other) { return other.since > since; });
    queue_.insert(before, Waiter{id, since, &reactor, std::move(granted)});
    waiting_.fetch_add(1);
    UpdateOldest();
    if (free_.load() > 0) {
      // One became free meanwhile: returning nothing hands it out.
      free_.fetch_sub(1);
      lock.unlock();
      Return();
      return id;
    }
  }
  if (!reclaimers_.empty()) {
    AskReclaimer(next_reclaimer_.fetch_add(1) % reclaimers_.size(), reclaimers_.size());
  }
  return id;
}

void PermitBudget::Leave(std::uint64_t waiter) {
  {
    std::unique_lock lock(mutex_);
    const auto is_it = [&](const Waiter& other) { return other.id == waiter; };
    if (auto it = std::find_if(queue_.begin(), queue_.end(), is_it); it != queue_.end()) {
      queue_.erase(it);
      waiting_.fetch_sub(1);
      UpdateOldest();
      return;
    }
    auto it = std::find_if(granted_.begin(), granted_.end(), is_it);
    if (it == granted_.end()) return;
    granted_.erase(it);
  }
  Return();
}

void PermitBudget::Deliver(std::uint64_t id, Reactor&) {
  std::move_only_function<void()> granted;
  {
    std::unique_lock lock(mutex_);
    auto it = std::find_if(granted_.begin(), granted_.end(), [&](const Waiter& other) { return other.id == id; });
    if (it == granted_.end()) return;  // left meanwhile, and passed the permit on
    granted = std::move(it->granted);
    granted_.erase(it);
  }
  granted();
}

void PermitBudget::AddReclaimer(Reactor& reactor, std::function<bool()> close_one) {
  reclaimers_.push_back({&reactor, std::move(close_one)});
}

void PermitBudget::AskReclaimer(std::size_t index, std::size_t left) {
  if (left == 0) return;
  reclaimers_[index].reactor->Post([this, index, left] {
    if (waiting_.load() == 0 || reclaimers_[index].close_one()) return;
    AskReclaimer((index + 1) % reclaimers_.size(), left - 1);
  });
}

void PermitBudget::UpdateOldest() {
  oldest_.store(queue_.empty() ? Duration::max().count() : queue_.front().since.time_since_epoch().count(),
                std::memory_order_relaxed);
}

}  // namespace multigres::pooler::connpool
