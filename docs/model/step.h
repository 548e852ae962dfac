// One step of the exploration, and how it reads.
#pragma once

#include <string>
#include <vector>

#include "model/state.h"

namespace multigres::model {

enum class StepKind : std::uint8_t {
  kRecruit,  // attempt, node, records replayed, LSN hidden
  kPropose,  // attempt, recruits
  kPromote,  // attempt
  kRetryPromote,
  kWriteProposal,  // node
  kDecide,
  kServe,
  kInstallNext,
  kChange,  // node, change
  kReadmit,
  kReload,
  kSetPrimary,  // rule, decided, node
  kStream,      // node
  kRewind,      // node, records kept
  kReadFloor,
  kWrite,     // node, write
  kAckWrite,  // node, write
  kCancelWrite,
  kCrash,
  kRestartPooler,
  kRestore,
};

struct Step {
  StepKind kind{};
  std::uint8_t a = 0, b = 0, c = 0, d = 0;
};

// "X: Recruit(T=2, outgoing 1.1) -> B reports 1.1@3". Every step of a state reads differently from the others.
std::string StepText(const Model& model, const State& before, const Step& step, const State& after);

struct Successor {
  Step step;
  State state;
};

// All that may happen next. `out` is cleared first.
void Successors(const Model& model, const State& state, std::vector<Successor>& out);

}  // namespace multigres::model
