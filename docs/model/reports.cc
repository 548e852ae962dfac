#include "model/reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "model/script.h"
#include "model/walker.h"

namespace multigres::model {
namespace {

// What costs somebody data; the other invariants are the fences before that.
constexpr std::uint16_t Bit(Invariant invariant) {
  return static_cast<std::uint16_t>(1u << static_cast<int>(invariant));
}
constexpr std::uint16_t kLoss =
    Bit(Invariant::kAckedWriteLost) | Bit(Invariant::kTwoLeaders) | Bit(Invariant::kDecisionLost);

void Say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void SaySteps(const Outcome& outcome) {
  int number = 0;
  for (const std::string& step : outcome.steps) Say(fmt::format("    {:2}  {}", ++number, step));
  Say(fmt::format("        violates {}", InvariantText(outcome.violated)));
}

// --- traces

bool HappensWhenOff(const Script& script) {
  auto replay = Run(script, ModelOf(script, false));
  if (!replay) {
    Say(fmt::format("  FAILED: {}", replay.error()));
    return false;
  }
  if (replay->violated == script.expected) {
    Say(fmt::format("  off: step {} violates {}", replay->steps.size(), InvariantText(replay->violated)));
    return true;
  }
  Say(fmt::format("  FAILED: off: after {} steps {}", replay->steps.size(),
                  replay->refused.empty() ? "nothing is violated" : "'" + replay->refused + "' isn't possible"));
  return false;
}

bool GoneWhenOn(const Script& script, const Limits& limits) {
  const Model model = ModelOf(script, true);
  auto replay = Run(script, model);
  if (!replay || replay->refused.empty()) {
    Say(fmt::format("  FAILED: on: {}", replay ? "every step is still possible" : replay.error()));
    return false;
  }
  Say(fmt::format("  on:  step {} isn't possible: {}", replay->steps.size() + 1, replay->refused));
  const Outcome rest = Explore(model, replay->last, limits);
  Say(fmt::format("       whatever else follows step {}: {}; {}", replay->steps.size(),
                  rest.violated == Invariant::kNone ? "no violation" : "VIOLATED", rest.Text()));
  if (rest.violated != Invariant::kNone) SaySteps(rest);
  return rest.violated == Invariant::kNone;
}

bool ReportTrace(const std::string& path, const Limits& limits) {
  auto script = ParseScript(path);
  if (!script) {
    Say("FAILED: " + script.error());
    return false;
  }
  Say(fmt::format("{}: {}", script->name, script->title));
  Say("  " + script->bounds.Text());
  return HappensWhenOff(*script) && GoneWhenOn(*script, limits);
}

// --- switches

struct Finding {
  Outcome outcome;
  const Scope* scope = nullptr;  // where it was caught; null = nowhere
  std::uint64_t states = 0;      // over all scopes tried
  bool complete = true;
};

Finding FirstViolation(Rule rule, std::uint16_t invariants, std::span<const Scope> scopes, const Limits& limits) {
  Finding finding;
  for (const Scope& scope : scopes) {
    Model model{.bounds = scope.bounds, .switches = {}, .invariants = invariants};
    model.switches.TurnOff(rule);
    finding.outcome = Explore(model, InitialState(model), limits);
    finding.states += finding.outcome.states;
    if (finding.outcome.violated != Invariant::kNone) {
      finding.scope = &scope;
      return finding;
    }
    finding.complete &= finding.outcome.complete;
  }
  return finding;
}

std::string FindingText(const Finding& finding) {
  if (finding.scope == nullptr) {
    return fmt::format("not within the bounds ({} states{})", finding.states, finding.complete ? "" : ", limited");
  }
  return fmt::format("{}, {} steps ({})", static_cast<int>(finding.outcome.violated), finding.outcome.steps.size(),
                     finding.scope->name);
}

}  // namespace

bool ReportExhaustive(std::span<const Scope> scopes, const Limits& limits) {
  bool good = true;
  Outcome all;
  for (const Scope& scope : scopes) {
    const Model model{.bounds = scope.bounds, .switches = {}};
    Say(fmt::format("{}: {}", scope.name, scope.bounds.Text()));
    const Outcome outcome = Explore(model, InitialState(model), limits);
    Say(fmt::format("  {}; {}", outcome.violated == Invariant::kNone ? "no violation" : "VIOLATED", outcome.Text()));
    if (outcome.violated != Invariant::kNone) SaySteps(outcome);
    good &= outcome.complete;
    all.states += outcome.states;
    all.transitions += outcome.transitions;
    all.time += outcome.time;
  }
  Say(fmt::format("together {} states, {} transitions, {:.1f} s", all.states, all.transitions, all.time.count()));
  return good;
}

bool ReportTraces(const std::string& folder, const Limits& limits) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".trace") paths.push_back(entry.path().string());
  }
  std::ranges::sort(paths);
  bool good = !paths.empty();
  if (!good) Say("FAILED: no traces in " + folder);
  for (const std::string& path : paths) good &= ReportTrace(path, limits);
  return good;
}

bool ReportSwitches(std::span<const RuleInfo> rules, std::span<const Scope> scopes, const Limits& limits) {
  bool good = true;
  Say("| rule | without it | first violation: invariant, steps (bounds) | data lost or two leaders |");
  Say("|---|---|---|---|");
  for (const RuleInfo& info : rules) {
    const Finding any = FirstViolation(info.rule, 0xffff, scopes, limits);
    const bool lost = any.scope != nullptr && ((kLoss >> static_cast<int>(any.outcome.violated)) & 1) != 0;
    const Finding loss = lost || any.scope == nullptr ? any : FirstViolation(info.rule, kLoss, scopes, limits);
    Say(fmt::format("| {} ({}) | {} | {} | {} |", info.name, info.section, info.off, FindingText(any),
                    lost                   ? "the same"
                    : any.scope == nullptr ? ""
                                           : FindingText(loss)));
    if (any.scope == nullptr && info.caught) {
      Say(fmt::format("FAILED: {} was caught before", info.name));
      good = false;
    }
  }
  return good;
}

bool ReportWalks(std::uint64_t steps, std::uint64_t seed) {
  bool good = true;
  for (const Scope& scope : WalkScopes()) {
    const Model model{.bounds = scope.bounds, .switches = {}};
    Say(fmt::format("{}, seed {}: {}", scope.name, seed, scope.bounds.Text()));
    const Outcome outcome = Walk(model, {.steps = steps, .seed = seed});
    const bool violated = outcome.violated != Invariant::kNone;
    Say(fmt::format("  {}; {} steps in walks of at most {}, {:.1f} s", violated ? "VIOLATED" : "no violation",
                    outcome.transitions, outcome.depth, outcome.time.count()));
    if (violated) SaySteps(outcome);
    good &= !violated;
  }
  return good;
}

bool ReportOne(const Model& model, const Limits& limits) {
  Say(model.bounds.Text());
  for (const RuleInfo& info : AllRules()) {
    if (!model.On(info.rule)) Say(fmt::format("  without {}: {}", info.name, info.off));
  }
  const Outcome outcome = Explore(model, InitialState(model), limits);
  if (outcome.violated != Invariant::kNone) SaySteps(outcome);
  Say(fmt::format("  {}; {}", outcome.violated == Invariant::kNone ? "no violation" : "VIOLATED", outcome.Text()));
  return outcome.complete;
}

}  // namespace multigres::model
