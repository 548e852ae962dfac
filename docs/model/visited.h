// The states seen so far: hash, and the number of the state that each was first reached from.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace multigres::model {

class Visited {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  Visited() : slots_(1 << 16, kNone) {}

  // The new state's number (0, 1, ... in the order of insertion), or kNone if it was there.
  std::uint32_t Insert(std::uint64_t hash, std::uint32_t parent) {
    if ((hashes_.size() + 1) * 10 > slots_.size() * 7) Grow();
    std::uint32_t& slot = SlotOf(hash);
    if (slot != kNone) return kNone;
    slot = static_cast<std::uint32_t>(hashes_.size());
    hashes_.push_back(hash);
    parents_.push_back(parent);
    return slot;
  }

  std::uint64_t size() const { return hashes_.size(); }

  // Hashes on the way from the first state to this one, both included.
  std::vector<std::uint64_t> PathTo(std::uint32_t state) const {
    std::vector<std::uint64_t> path;
    for (; state != kNone; state = parents_[state]) path.insert(path.begin(), hashes_[state]);
    return path;
  }

 private:
  std::uint32_t& SlotOf(std::uint64_t hash) {
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at] != kNone && hashes_[slots_[at]] != hash) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }

  void Grow() {
    std::vector<std::uint32_t>(slots_.size() * 2, kNone).swap(slots_);
    for (std::uint32_t i = 0; i < hashes_.size(); ++i) SlotOf(hashes_[i]) = i;
  }

  std::vector<std::uint32_t> slots_;  // open addressing; a power of two
  std::deque<std::uint64_t> hashes_;
  std::deque<std::uint32_t> parents_;
};

}  // namespace multigres::model
