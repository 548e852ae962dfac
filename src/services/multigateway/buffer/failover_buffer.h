// Holds requests back until their shard has a leader again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/queryservice/query_service.h"
#include "services/multigateway/buffer/failover_queue.h"
#include "tools/async/event.h"

namespace multigres::gateway::buffer {

// One per reactor. See FailoverQueue for what is decided; this waits, and keeps the time.
class FailoverBuffer {
 public:
  // A request's place. While it retries it occupies one of the shard's drain slots: let go of it when the retry has
  // ended. An empty one means that there was no wait.
  class [[nodiscard]] Turn {
   public:
    Turn() = default;
    Turn(FailoverBuffer* owner, std::unique_ptr<FailoverQueue::Entry> entry)
        : owner_(owner), entry_(std::move(entry)) {}
    Turn(Turn&&) noexcept = default;
    Turn& operator=(Turn&& other) noexcept;
    ~Turn() { Reset(); }
    void Reset();

   private:
    friend class FailoverBuffer;
    FailoverBuffer* owner_ = nullptr;
    std::unique_ptr<FailoverQueue::Entry> entry_;
  };

  enum class Outcome : std::uint8_t {
    kWaited,  // try again, within the turn
    kRetry,   // others are being drained: try again at once
    kNoWait,  // this failover isn't buffered
  };
  struct Waited {
    Outcome outcome = Outcome::kNoWait;
    Turn turn;
  };

  // `serves`: does the shard's leader say PRIMARY and SERVING at present? `metrics` may be null. Those referred to must
  // outlive the buffer, and the buffer all waits.
  FailoverBuffer(Clock& clock, const BufferConfig& config, BufferCapacity& capacity, BufferMetrics* metrics,
                 std::function<bool(std::string_view shard)> serves);
  ~FailoverBuffer();

  // Waits until the shard has a leader, as one of those that wait since `since`. Errors: MTB01 to MTB03; 57014 as soon
  // as the scope ends; CANCELED (08006) once `client_gone` says so, which is asked a few times a second (empty =
  // never).
  Awaitable<Result<Waited>> Wait(std::string shard, TimePoint since, queryservice::CallScope scope,
                                 std::function<bool()> client_gone);

  // No shard buffers or drains: what the hot path asks.
  bool idle() const { return queue_.idle(); }
  bool Buffers(std::string_view shard) const { return queue_.StateOf(shard) == FailoverQueue::State::kBuffering; }
  // The leader's own health stream says, now, that it is PRIMARY and SERVING.
  void LeaderServes(std::string_view shard);
  void ShutDown();
  void CountFailedUnbuffered();

 private:
  Awaitable<Result<void>> AwaitVerdict(FailoverQueue::Entry& entry, Event& decided, queryservice::CallScope scope,
                                       std::function<bool()> client_gone);
  void Leave(FailoverQueue::Entry& entry);
  void Rearm();

  Clock& clock_;
  const bool enabled_;
  BufferMetrics* metrics_;
  FailoverQueue queue_;
  TimePoint armed_for_ = TimePoint::max();
  Timer timer_;
};

// The name of a shard in the buffer.
std::string ShardName(std::string_view database, std::string_view table_group, std::string_view shard);

}  // namespace multigres::gateway::buffer
