// Who waits for which shard's leader, and who may try again: the failover buffer's decisions, without any waiting.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/multigateway/buffer/capacity.h"
#include "services/multigateway/buffer/config.h"
#include "services/multigateway/buffer/metrics.h"

namespace multigres::gateway::buffer {

// Each shard is a machine:
//   IDLE -(a request finds no leader, not too soon after the last failover)-> BUFFERING
//   BUFFERING -(the leader's own stream says PRIMARY and SERVING, or the longest duration is over)-> DRAINING
//   DRAINING -(every request that waited has been tried again)-> IDLE
//
// One reactor's; nothing of it is shared but the capacity, an atomic count that only requests without a leader touch.
// The hot path so takes no lock and reads one bool. What that costs: when the buffer is full, the oldest request of the
// reactor of the newcomer goes, which needn't be the oldest of all; and the drain concurrency is per reactor. Dividing
// the capacity instead would refuse clients of a busy reactor while others have room.
//
// One FIFO holds the requests of all shards. Pure: time is given, verdicts are told by callback.
class FailoverQueue {
 public:
  enum class State : std::uint8_t { kIdle, kBuffering, kDraining };
  enum class Verdict : std::uint8_t {
    kRetry,       // try now; leave when that has ended
    kFull,        // MTB01: a younger request took the place
    kWindowOver,  // MTB02
    kShutdown,    // MTB03
  };
  // What a request is told at once.
  enum class Admission : std::uint8_t {
    kQueued,    // a verdict will come
    kRetryNow,  // the leader is there already, others are being retried
    kNoWait,    // too soon after the last failover
    kFull,      // MTB01, and nobody waits whose place could be taken
    kShutdown,  // MTB03
  };
  // How long a leader that seemed fine while a request failed is doubted: it is then taken at its word, if its stream
  // still says the same. Longer than a pooler needs to notice that its PostgreSQL is gone.
  static constexpr Duration kDoubt = std::chrono::seconds(1);

  // A request that waits. Owned by it, and not moved until it has left.
  class Entry {
   public:
    // `since`: when it began to wait. Earlier than it joins if it waited before and was sent away in vain.
    Entry(std::string shard, TimePoint since) : shard_(std::move(shard)), since_(since) {}
    std::optional<Verdict> verdict() const { return verdict_; }
    // Runs once, when there is a verdict. Must not call the queue.
    std::function<void()> on_verdict;

   private:
    friend class FailoverQueue;
    std::string shard_;
    TimePoint since_;
    std::optional<Verdict> verdict_;
    bool present_ = false;                  // counted by its shard
    bool has_place_ = false;                // of the capacity
    bool in_slot_ = false;                  // of the shard's concurrency
    std::list<Entry*>::iterator position_;  // while it has no verdict
  };

  // `serves`: does this shard's leader say PRIMARY and SERVING at present? `metrics` may be null.
  FailoverQueue(const BufferConfig& config, BufferCapacity& capacity, BufferMetrics* metrics,
                std::function<bool(std::string_view shard)> serves);
  ~FailoverQueue();

  Admission Join(Entry& entry, TimePoint now);
  // Its client is gone, or its retry has ended, or its error been told. Does nothing for an entry that isn't in.
  void Leave(Entry& entry, TimePoint now);
  // The leader of the shard has said, now, that it is PRIMARY and SERVING.
  void LeaderServes(std::string_view shard, TimePoint now);
  // Does what is due. Call at NextDue(), which changes with every call here.
  void Tick(TimePoint now);
  std::optional<TimePoint> NextDue() const;
  // Everybody who waits is told, and whoever comes later.
  void ShutDown(TimePoint now);

  State StateOf(std::string_view shard) const;
  // True if no shard buffers or drains.
  bool idle() const { return active_ == 0; }
  std::size_t waiting() const { return queue_.size(); }

 private:
  struct Shard {
    State state = State::kIdle;
    TimePoint began;
    TimePoint doubted_until;  // max() once over
    std::optional<TimePoint> ended;
    std::size_t waiting = 0;
    std::size_t draining = 0;  // told to retry, not yet left
    std::size_t slots = 0;     // ... of the concurrency
  };

  static constexpr std::size_t kKeptShards = 64;

  void ForgetIdle(TimePoint now);
  void Enqueue(Entry& entry);
  bool MakeRoom(TimePoint now);
  void Begin(Shard& shard, TimePoint now);
  void Drain(const std::string& name, Shard& shard, TimePoint now);
  // Lets as many go as have a slot; ends the drain when nobody is left.
  void Continue(const std::string& name, Shard& shard, TimePoint now);
  void Decide(Entry& entry, Verdict verdict, TimePoint now);
  void ReturnPlace(Entry& entry);
  void ExpireWindows(TimePoint now);

  const BufferConfig config_;
  BufferCapacity& capacity_;
  BufferMetrics* metrics_;
  std::function<bool(std::string_view)> serves_;
  std::map<std::string, Shard, std::less<>> shards_;
  std::list<Entry*> queue_;  // without a verdict, by since_, oldest first
  std::size_t active_ = 0;
  bool shut_down_ = false;
};

}  // namespace multigres::gateway::buffer
