#include "services/multigateway/buffer/failover_queue.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "tools/result/check.h"

namespace multigres::gateway::buffer {

namespace {

double Seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

FailoverQueue::FailoverQueue(const BufferConfig& config, BufferCapacity& capacity, BufferMetrics* metrics,
                             std::function<bool(std::string_view)> serves)
    : config_(config), capacity_(capacity), metrics_(metrics), serves_(std::move(serves)) {}

FailoverQueue::~FailoverQueue() {
  CHECK(queue_.empty(), "failover buffer destroyed with requests in it");
}

FailoverQueue::State FailoverQueue::StateOf(std::string_view shard) const {
  const auto it = shards_.find(shard);
  return it == shards_.end() ? State::kIdle : it->second.state;
}

FailoverQueue::Admission FailoverQueue::Join(Entry& entry, TimePoint now) {
  if (shut_down_) return Admission::kShutdown;
  ForgetIdle(now);
  Shard& shard = shards_[entry.shard_];
  if (shard.state == State::kDraining) return Admission::kRetryNow;
  if (shard.state == State::kIdle && shard.ended && now - *shard.ended < config_.min_time_between_failovers) {
    if (metrics_ != nullptr) metrics_->skipped.Add();
    return Admission::kNoWait;
  }
  if (!MakeRoom(now)) return Admission::kFull;
  entry.has_place_ = true;
  if (shard.state == State::kIdle) Begin(shard, now);
  entry.present_ = true;
  ++shard.waiting;
  Enqueue(entry);
  if (metrics_ != nullptr) {
    metrics_->buffered.Add();
    metrics_->queue_depth.Add(1);
  }
  return Admission::kQueued;
}

// Nearly always at the end: only those that waited before are older than others.
void FailoverQueue::Enqueue(Entry& entry) {
  auto place = queue_.end();
  while (place != queue_.begin() && (*std::prev(place))->since_ > entry.since_) --place;
  entry.position_ = queue_.insert(place, &entry);
}

// Names come from clients: those of no consequence are not kept for ever.
void FailoverQueue::ForgetIdle(TimePoint now) {
  if (shards_.size() < kKeptShards) return;
  std::erase_if(shards_, [&](const auto& entry) {
    const Shard& shard = entry.second;
    return shard.state == State::kIdle && (!shard.ended || now - *shard.ended >= config_.min_time_between_failovers);
  });
}

// Takes a place of the capacity: a free one, or the oldest request's.
bool FailoverQueue::MakeRoom(TimePoint now) {
  if (capacity_.TryTake()) return true;
  if (queue_.empty()) {
    if (metrics_ != nullptr) metrics_->evicted_full.Add();
    return false;
  }
  Entry& oldest = *queue_.front();
  Decide(oldest, Verdict::kFull, now);
  // Its place goes to the newcomer, whatever other reactors do meanwhile.
  oldest.has_place_ = false;
  return true;
}

void FailoverQueue::Begin(Shard& shard, TimePoint now) {
  shard.state = State::kBuffering;
  shard.began = now;
  shard.doubted_until = now + kDoubt;
  ++active_;
  if (metrics_ != nullptr) metrics_->failovers.Add();
}

void FailoverQueue::ReturnPlace(Entry& entry) {
  if (std::exchange(entry.has_place_, false)) capacity_.Return();
}

void FailoverQueue::Decide(Entry& entry, Verdict verdict, TimePoint now) {
  queue_.erase(entry.position_);
  Shard& shard = shards_.find(entry.shard_)->second;
  --shard.waiting;
  if (verdict == Verdict::kRetry) {
    ++shard.draining;
  } else {
    entry.present_ = false;
  }
  entry.verdict_ = verdict;
  if (metrics_ != nullptr) {
    metrics_->queue_depth.Add(-1);
    metrics_->wait_duration.Observe(Seconds(now - entry.since_));
    if (verdict == Verdict::kRetry) metrics_->drained.Add();
    if (verdict == Verdict::kFull) metrics_->evicted_full.Add();
    if (verdict == Verdict::kWindowOver) metrics_->evicted_window.Add();
    if (verdict == Verdict::kShutdown) metrics_->evicted_shutdown.Add();
  }
  if (entry.on_verdict) entry.on_verdict();
}

void FailoverQueue::Leave(Entry& entry, TimePoint now) {
  ReturnPlace(entry);
  if (!std::exchange(entry.present_, false)) return;
  const auto it = shards_.find(entry.shard_);
  Shard& shard = it->second;
  if (!entry.verdict_) {
    queue_.erase(entry.position_);
    --shard.waiting;
    if (metrics_ != nullptr) {
      metrics_->queue_depth.Add(-1);
      metrics_->evicted_gone.Add();
      metrics_->wait_duration.Observe(Seconds(now - entry.since_));
    }
  } else {
    --shard.draining;
    if (std::exchange(entry.in_slot_, false)) --shard.slots;
  }
  if (shard.state == State::kDraining) Continue(it->first, shard, now);
}

void FailoverQueue::LeaderServes(std::string_view name, TimePoint now) {
  const auto it = shards_.find(name);
  if (it == shards_.end() || it->second.state != State::kBuffering) return;
  Drain(it->first, it->second, now);
}

void FailoverQueue::Drain(const std::string& name, Shard& shard, TimePoint now) {
  shard.state = State::kDraining;
  Continue(name, shard, now);
}

void FailoverQueue::Continue(const std::string& name, Shard& shard, TimePoint now) {
  for (auto it = queue_.begin(); it != queue_.end() && shard.waiting > 0 && shard.slots < config_.drain_concurrency;) {
    Entry& entry = **it++;
    if (entry.shard_ != name) continue;
    entry.in_slot_ = true;
    ++shard.slots;
    Decide(entry, Verdict::kRetry, now);
  }
  if (shard.waiting > 0 || shard.draining > 0) return;
  shard.state = State::kIdle;
  shard.ended = now;
  --active_;
  if (metrics_ != nullptr) metrics_->failover_duration.Observe(Seconds(now - shard.began));
}

// A request whose leader is back doesn't fail for the slowness of those before it: it is let go out of turn.
void FailoverQueue::ExpireWindows(TimePoint now) {
  while (!queue_.empty() && now - queue_.front()->since_ >= config_.window) {
    Entry& oldest = *queue_.front();
    const bool draining = StateOf(oldest.shard_) == State::kDraining;
    Decide(oldest, draining ? Verdict::kRetry : Verdict::kWindowOver, now);
  }
}

void FailoverQueue::Tick(TimePoint now) {
  for (auto& [name, shard] : shards_) {
    if (shard.state != State::kBuffering) continue;
    if (shard.doubted_until <= now) {
      shard.doubted_until = TimePoint::max();
      if (serves_ && serves_(name)) {
        Drain(name, shard, now);
        continue;
      }
    }
    if (now - shard.began >= config_.max_failover_duration) Drain(name, shard, now);
  }
  ExpireWindows(now);
}

std::optional<TimePoint> FailoverQueue::NextDue() const {
  std::optional<TimePoint> due;
  const auto at = [&due](TimePoint time) { due = due ? std::min(*due, time) : time; };
  for (const auto& [name, shard] : shards_) {
    if (shard.state != State::kBuffering) continue;
    at(std::min(shard.doubted_until, shard.began + config_.max_failover_duration));
  }
  if (!queue_.empty()) at(queue_.front()->since_ + config_.window);
  return due;
}

void FailoverQueue::ShutDown(TimePoint now) {
  shut_down_ = true;
  while (!queue_.empty()) Decide(*queue_.front(), Verdict::kShutdown, now);
}

}  // namespace multigres::gateway::buffer
