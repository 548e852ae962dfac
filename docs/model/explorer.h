// Breadth-first search through all states within the bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/step.h"

namespace multigres::model {

struct Limits {
  std::uint64_t states = 150'000'000;
  std::chrono::seconds time{3600};
};

struct Outcome {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  int depth = 0;
  std::chrono::duration<double> time{};
  bool complete = false;  // every state was seen (false too when a violation ended the search)
  Invariant violated = Invariant::kNone;
  std::vector<std::string> steps;  // to the violation: none is shorter

  std::string Text() const;
};

// Of a state only a 64-bit hash is kept, and which state it was reached from: a counterexample is found again by
// replaying. Two states with one hash would be taken for one; for n states that happens with probability n*n / 2^65
// (10^-4 at 60 million).
Outcome Explore(const Model& model, const State& start, const Limits& limits);

}  // namespace multigres::model
