#include "model/scopes.h"

#include <array>
#include <charconv>

namespace multigres::model {
namespace {

struct BoundName {
  std::string_view name;
  int Bounds::* field;
  int most;
};

constexpr std::array<BoundName, 9> kBounds{{
    {"nodes", &Bounds::nodes, kMaxNodes},
    {"required", &Bounds::required, kMaxNodes},
    {"attempts", &Bounds::attempts, kMaxAttempts},
    {"writes", &Bounds::writes, kMaxWrites},
    {"changes", &Bounds::changes, kMaxChanges},
    {"crashes", &Bounds::crashes, 3},
    {"restarts", &Bounds::restarts, 3},
    {"rewinds", &Bounds::rewinds, 15},
    {"restores", &Bounds::restores, 3},
}};

constexpr std::array<Scope, 4> kExhaustive{{
    {"a pooler restart", {.attempts = 2, .writes = 1, .restarts = 1}},
    {"a crash and a rewind", {.attempts = 2, .writes = 1, .crashes = 1, .rewinds = 1}},
    {"a restore and a rewind", {.attempts = 2, .writes = 1, .rewinds = 1, .restores = 1}},
    {"two failovers and a change", {.attempts = 2, .writes = 1, .changes = 1}},
}};

constexpr std::array<Scope, 10> kSwitch{{
    {"2 cohort changes", {.attempts = 0, .changes = 2}},
    {"1 attempt, every fault", {.attempts = 1, .crashes = 1, .rewinds = 1, .restores = 1}},
    {"1 attempt, cohort change", {.attempts = 1, .changes = 1}},
    {"2 attempts", {.attempts = 2}},
    {"5 nodes, 1 attempt", {.nodes = 5, .attempts = 1}},
    {"2 attempts, crash", {.attempts = 2, .crashes = 1}},
    {"2 attempts, rewind", {.attempts = 2, .rewinds = 1}},
    {"2 attempts, pooler restart", {.attempts = 2, .restarts = 1}},
    {"2 attempts, restore", {.attempts = 2, .restores = 1}},
    {"2 attempts, cohort change", {.attempts = 2, .changes = 1}},
}};

constexpr std::array<Scope, 2> kWalk{{
    {"4 nodes",
     {.nodes = 4, .attempts = 4, .writes = 2, .changes = 2, .crashes = 3, .restarts = 2, .rewinds = 6, .restores = 1}},
    {"5 nodes",
     {.nodes = 5, .attempts = 4, .writes = 2, .changes = 2, .crashes = 3, .restarts = 2, .rewinds = 6, .restores = 2}},
}};

constexpr std::array<Scope, 3> kQuick{{
    {"two failovers", {.attempts = 2, .writes = 1}},
    {"a failover with faults", {.attempts = 1, .writes = 1, .crashes = 1, .rewinds = 1, .restores = 1}},
    {"a failover and a change", {.attempts = 1, .writes = 1, .changes = 1}},
}};

}  // namespace

bool SetBound(Bounds& bounds, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = assignment.substr(equals + 1);
  int number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) return false;
  for (const BoundName& bound : kBounds) {
    if (bound.name != assignment.substr(0, equals) || number < 0 || number > bound.most) continue;
    bounds.*bound.field = number;
    return true;
  }
  return false;
}

std::span<const Scope> ExhaustiveScopes() {
  return kExhaustive;
}

std::span<const Scope> SwitchScopes() {
  return kSwitch;
}

std::span<const Scope> WalkScopes() {
  return kWalk;
}

std::span<const Scope> QuickScopes() {
  return kQuick;
}

}  // namespace multigres::model
