#include "tools/clock/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace multigres {

namespace {
constexpr Duration kTick = std::chrono::milliseconds(1);
}  // namespace

Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    Cancel();
    clock_ = std::exchange(other.clock_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void Timer::Cancel() {
  if (Clock* clock = std::exchange(clock_, nullptr)) clock->CancelTimer(id_);
}

TimerWheel::TimerWheel(TimePoint start) : start_(start), slots_(kSlots, nullptr), occupied_(kSlots / 64, 0) {}

TimerWheel::~TimerWheel() = default;

std::int64_t TimerWheel::TickOf(TimePoint at) const {
  if (at <= start_) return 0;
  // Rounded up: a timer never fires early.
  return static_cast<std::int64_t>((at - start_ + kTick - Duration(1)) / kTick);
}

std::uint64_t TimerWheel::Add(TimePoint at, std::move_only_function<void()> callback) {
  // Far-away times would overflow the rounding above; a century is never reached.
  at = std::min(at, start_ + std::chrono::hours(24 * 36500));
  auto entry = std::make_unique<Entry>();
  entry->id = next_id_++;
  entry->tick = std::max(TickOf(at), current_tick_ + 1);
  entry->callback = std::move(callback);
  Link(entry.get());
  const std::uint64_t id = entry->id;
  entries_.emplace(id, std::move(entry));
  return id;
}

void TimerWheel::Cancel(std::uint64_t id) {
  auto it = entries_.find(id);
  if (it == entries_.end()) return;
  Unlink(it->second.get());
  entries_.erase(it);
}

void TimerWheel::Link(Entry* entry) {
  const auto slot = static_cast<std::size_t>(entry->tick % kSlots);
  entry->next = slots_[slot];
  entry->previous = nullptr;
  if (entry->next != nullptr) entry->next->previous = entry;
  slots_[slot] = entry;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::Unlink(Entry* entry) {
  const auto slot = static_cast<std::size_t>(entry->tick % kSlots);
  if (entry->next != nullptr) entry->next->previous = entry->previous;
  if (entry->previous != nullptr) {
    entry->previous->next = entry->next;
  } else {
    slots_[slot] = entry->next;
  }
  if (slots_[slot] == nullptr) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
}

std::size_t TimerWheel::Advance(TimePoint now) {
  std::size_t ran = 0;
  if (now < start_) return ran;
  const auto target = static_cast<std::int64_t>((now - start_) / kTick);
  while (current_tick_ < target) {
    auto wake = NextWake();
    if (!wake) {
      current_tick_ = target;
      break;
    }
    const std::int64_t tick = TickOf(*wake);
    if (tick > target) {
      current_tick_ = target;
      break;
    }
    current_tick_ = tick;
    RunSlot(tick, ran);
  }
  return ran;
}

void TimerWheel::RunSlot(std::int64_t tick, std::size_t& ran) {
  std::vector<std::uint64_t> due;
  for (Entry* entry = slots_[static_cast<std::size_t>(tick % kSlots)]; entry != nullptr; entry = entry->next) {
    if (entry->tick <= tick) due.push_back(entry->id);
  }
  // Oldest first. A callback may cancel one that is due in the same millisecond.
  std::sort(due.begin(), due.end());
  for (const std::uint64_t id : due) {
    auto it = entries_.find(id);
    if (it == entries_.end()) continue;
    auto callback = std::move(it->second->callback);
    Unlink(it->second.get());
    entries_.erase(it);
    callback();
    ++ran;
  }
}

std::optional<TimePoint> TimerWheel::NextWake() const {
  if (entries_.empty()) return std::nullopt;
  std::int64_t distance = kSlots;
  for (std::int64_t i = 0; i < kSlots;) {
    const auto slot = static_cast<std::size_t>((current_tick_ + 1 + i) % kSlots);
    const std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
    if (word != 0) {
      distance = i + std::countr_zero(word);
      break;
    }
    i += static_cast<std::int64_t>(64 - slot % 64);
  }
  return start_ + kTick * (current_tick_ + 1 + distance);
}

}  // namespace multigres
