// How far the standard explorations go.
#pragma once

#include <span>
#include <string_view>

#include "model/state.h"

namespace multigres::model {

// "attempts=2"; false if there is no such bound or the value is beyond what a state can hold.
bool SetBound(Bounds& bounds, std::string_view assignment);

struct Scope {
  std::string_view name;
  Bounds bounds;
};

// With all rules on, exhaustively.
std::span<const Scope> ExhaustiveScopes();
// With one rule off: the first of these that breaks is reported.
std::span<const Scope> SwitchScopes();
// By random walks.
std::span<const Scope> WalkScopes();
// In half a minute.
std::span<const Scope> QuickScopes();

}  // namespace multigres::model
