#include "model/walker.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "model/encoding.h"

namespace multigres::model {
namespace {

class Walker {
 public:
  Walker(const Model& model, const WalkLimits& limits)
      : model_(model), limits_(limits), random_(limits.seed), encoder_(model) {}

  Outcome Run() {
    const auto begun = std::chrono::steady_clock::now();
    const auto elapsed = [&] { return std::chrono::steady_clock::now() - begun; };
    while (outcome_.transitions < limits_.steps && outcome_.violated == Invariant::kNone && elapsed() < limits_.time) {
      OneWalk();
    }
    outcome_.time = elapsed();
    outcome_.states = outcome_.transitions;
    outcome_.complete = outcome_.transitions >= limits_.steps;
    return std::move(outcome_);
  }

 private:
  void OneWalk() {
    State state = InitialState(model_);
    outcome_.steps.clear();
    for (int length = 1; length <= limits_.length; ++length) {
      Successors(model_, state, successors_);
      if (successors_.empty()) return;
      const Successor& next = Choose();
      ++outcome_.transitions;
      outcome_.depth = std::max(outcome_.depth, length);
      outcome_.steps.push_back(StepText(model_, state, next.step, next.state));
      outcome_.violated = next.state.violated;
      if (outcome_.violated != Invariant::kNone) return;
      if (outcome_.transitions % 64 == 0) CheckEncoding(next.state);
      state = State(next.state);
    }
    outcome_.steps.clear();
  }

  // First what kind of step, then which: there are far more ways to recruit than to write.
  const Successor& Choose() {
    kinds_.clear();
    for (const Successor& successor : successors_) {
      if (std::ranges::find(kinds_, successor.step.kind) == kinds_.end()) kinds_.push_back(successor.step.kind);
    }
    const StepKind kind = kinds_[random_() % kinds_.size()];
    const auto of_kind = [kind](const Successor& successor) { return successor.step.kind == kind; };
    auto skip = static_cast<std::ptrdiff_t>(random_() % std::ranges::count_if(successors_, of_kind));
    return *std::ranges::find_if(successors_, [&](const Successor& s) { return of_kind(s) && skip-- == 0; });
  }

  void CheckEncoding(const State& state) {
    const std::string once(encoder_.Canonical(state));
    if (encoder_.Canonical(Encoder::Decode(model_, once)) == once) return;
    std::fputs("model: a state's encoding doesn't survive being read\n", stderr);
    std::abort();
  }

  const Model& model_;
  const WalkLimits& limits_;
  std::mt19937_64 random_;
  Encoder encoder_;
  std::vector<Successor> successors_;
  std::vector<StepKind> kinds_;
  Outcome outcome_;
};

}  // namespace

Outcome Walk(const Model& model, const WalkLimits& limits) {
  return Walker(model, limits).Run();
}

}  // namespace multigres::model
