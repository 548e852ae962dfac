#include "model/explorer.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "model/encoding.h"
#include "model/visited.h"

namespace multigres::model {
namespace {

using Clock = std::chrono::steady_clock;

// The states of one depth, one after another, each behind its length.
class Level {
 public:
  void Add(std::string_view bytes) {
    bytes_.push_back(static_cast<char>(bytes.size() & 0xff));
    bytes_.push_back(static_cast<char>(bytes.size() >> 8));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  template <class Visit>
  bool ForEach(Visit visit) const {
    for (std::size_t at = 0; at < bytes_.size();) {
      const auto low = static_cast<unsigned char>(bytes_[at]);
      const auto high = static_cast<unsigned char>(bytes_[at + 1]);
      const std::size_t size = low | high << 8;
      if (!visit(std::string_view(bytes_.data() + at + 2, size))) return false;
      at += 2 + size;
    }
    return true;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::vector<char> bytes_;
};

class Search {
 public:
  Search(const Model& model, const State& start, const Limits& limits)
      : model_(model), start_(start), limits_(limits), encoder_(model) {}

  Outcome Run() {
    const auto begun = Clock::now();
    const std::string_view first = encoder_.Canonical(start_);
    visited_.Insert(Hash(first), Visited::kNone);
    Level level;
    level.Add(first);
    std::uint32_t number = 0;
    bool going = true;
    while (going && !level.empty()) {
      Level next;
      going = level.ForEach([&](std::string_view bytes) {
        if ((number & 0xffff) == 0 && Clock::now() - begun > limits_.time) return false;
        return Expand(Encoder::Decode(model_, bytes), number++, next);
      });
      if (going && !next.empty()) ++outcome_.depth;
      level = std::move(next);
    }
    outcome_.complete = going;
    outcome_.states = visited_.size();
    outcome_.time = Clock::now() - begun;
    return std::move(outcome_);
  }

 private:
  // False ends the search.
  bool Expand(const State& state, std::uint32_t number, Level& next) {
    Successors(model_, state, successors_);
    for (const Successor& successor : successors_) {
      ++outcome_.transitions;
      if (successor.state.violated != Invariant::kNone) {
        outcome_.violated = successor.state.violated;
        Replay(visited_.PathTo(number));
        return false;
      }
      const std::string_view bytes = encoder_.Canonical(successor.state);
      if (visited_.Insert(Hash(bytes), number) != Visited::kNone) next.Add(bytes);
    }
    return visited_.size() < limits_.states;
  }

  // The way to the violation, with names that stay what they are from step to step.
  void Replay(const std::vector<std::uint64_t>& path) {
    State state = start_;
    for (std::size_t i = 1; i < path.size(); ++i) {
      state = Take(state, [&](const State& to) { return Hash(encoder_.Canonical(to)) == path[i]; });
    }
    Take(state, [](const State& to) { return to.violated != Invariant::kNone; });
  }

  template <class Wanted>
  State Take(const State& state, Wanted wanted) {
    std::vector<Successor> successors;
    Successors(model_, state, successors);
    for (const Successor& successor : successors) {
      if (!wanted(successor.state)) continue;
      outcome_.steps.push_back(StepText(model_, state, successor.step, successor.state));
      return successor.state;
    }
    std::fputs("model: a state can't be reached again: encoding and transitions disagree\n", stderr);
    std::abort();
  }

  const Model& model_;
  const State& start_;
  const Limits& limits_;
  Encoder encoder_;
  Visited visited_;
  std::vector<Successor> successors_;
  Outcome outcome_;
};

}  // namespace

Outcome Explore(const Model& model, const State& start, const Limits& limits) {
  return Search(model, start, limits).Run();
}

std::string Outcome::Text() const {
  return fmt::format("{} states, {} transitions, depth {}, {:.1f} s{}", states, transitions, depth, time.count(),
                     complete || violated != Invariant::kNone ? "" : ", NOT COMPLETE: a limit ended the search");
}

}  // namespace multigres::model
