// Timers by the million at O(1): a hashed wheel of one-millisecond slots. Passive: its owner says what time it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tools/clock/clock.h"

namespace multigres {

class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Never fires before `at`; ids are never 0 and never reused.
  std::uint64_t Add(TimePoint at, std::move_only_function<void()> callback);
  void Cancel(std::uint64_t id);
  // Runs what is due at `now`, in order of expiry by millisecond. Callbacks may add and cancel timers.
  // Returns how many ran.
  std::size_t Advance(TimePoint now);
  // When Advance() next has something to do; it may be earlier than the next expiry, never later. Empty if no timer is
  // pending.
  std::optional<TimePoint> NextWake() const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::uint64_t id;
    std::int64_t tick;
    std::move_only_function<void()> callback;
    Entry* next = nullptr;
    Entry* previous = nullptr;
  };
  static constexpr std::int64_t kSlots = 4096;

  std::int64_t TickOf(TimePoint at) const;
  void Link(Entry* entry);
  void Unlink(Entry* entry);
  void RunSlot(std::int64_t tick, std::size_t& ran);

  const TimePoint start_;
  std::int64_t current_tick_ = 0;  // everything at or before it has run
  std::uint64_t next_id_ = 1;
  std::vector<Entry*> slots_;
  std::vector<std::uint64_t> occupied_;  // one bit a slot
  std::unordered_map<std::uint64_t, std::unique_ptr<Entry>> entries_;
};

}  // namespace multigres
