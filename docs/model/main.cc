// rule_model: an exhaustive model of the rule change. See README.md beside this file.
#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/reports.h"

namespace multigres::model {
namespace {

constexpr std::string_view kUsage =
    "usage: rule_model COMMAND [OPTION...]\n"
    "  all          exhaustive, traces and switches\n"
    "  exhaustive   all rules on, every state within the bounds\n"
    "  traces       the recorded traces, rule off and on\n"
    "  switches     one rule off at a time (or those named by --off)\n"
    "  walk         all rules on, random walks with 4 and 5 nodes\n"
    "  explore      bounds and rules of one's own, every state\n"
    "  quick        a little of everything\n"
    "  rules        the names of the rules\n"
    "options:\n"
    "  NAME=N             explore: a bound: nodes required attempts writes changes crashes restarts rewinds restores\n"
    "  --off RULE         explore, switches\n"
    "  --only INVARIANT   explore: check only this one (1..8); may be repeated\n"
    "  --traces FOLDER    where the traces are\n"
    "  --steps N          walk: steps for each number of nodes\n"
    "  --seed N           walk\n"
    "  --states N         give up a search after so many states\n";

struct Options {
  std::string command;
  Model model;
  std::vector<Rule> off;
  std::string traces = "docs/model/traces";
  std::uint64_t steps = 5'000'000;
  std::uint64_t seed = 1;
  Limits limits;
};

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool ParseRule(std::string_view name, Options& options) {
  auto rule = RuleByName(name);
  if (!rule) return false;
  options.off.push_back(*rule);
  options.model.switches.TurnOff(*rule);
  return true;
}

bool ParseInvariant(std::string_view value, Options& options) {
  auto number = ParseNumber(value);
  if (!number || *number < 1 || *number > 8) return false;
  if (options.model.invariants == 0xffff) options.model.invariants = 0;
  options.model.invariants |= static_cast<std::uint16_t>(1u << *number);
  return true;
}

bool ParseOption(std::string_view name, std::string_view value, Options& options) {
  if (name == "--off") return ParseRule(value, options);
  if (name == "--only") return ParseInvariant(value, options);
  if (name == "--traces") {
    options.traces = value;
    return true;
  }
  auto number = ParseNumber(value);
  if (!number) return false;
  if (name == "--steps") options.steps = *number;
  if (name == "--seed") options.seed = *number;
  if (name == "--states") options.limits.states = *number;
  return name == "--steps" || name == "--seed" || name == "--states";
}

std::optional<Options> Parse(const std::vector<std::string_view>& arguments) {
  if (arguments.empty()) return std::nullopt;
  Options options;
  options.command = arguments[0];
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--")) {
      if (!SetBound(options.model.bounds, arguments[i])) return std::nullopt;
      continue;
    }
    if (i + 1 == arguments.size() || !ParseOption(arguments[i], arguments[i + 1], options)) return std::nullopt;
    ++i;
  }
  return options;
}

std::vector<RuleInfo> RulesToTurnOff(const Options& options) {
  std::vector<RuleInfo> rules;
  for (Rule rule : options.off) rules.push_back(InfoOf(rule));
  if (rules.empty()) rules.assign(AllRules().begin(), AllRules().end());
  return rules;
}

Limits AtMost(Limits limits, std::uint64_t states) {
  limits.states = std::min(limits.states, states);
  return limits;
}

bool RunAll(const Options& options) {
  fmt::print("== all rules on, every state\n");
  bool good = ReportExhaustive(ExhaustiveScopes(), options.limits);
  fmt::print("\n== the traces\n");
  good &= ReportTraces(options.traces, AtMost(options.limits, 3'000'000));
  fmt::print("\n== one rule off at a time\n");
  return ReportSwitches(RulesToTurnOff(options), SwitchScopes(), AtMost(options.limits, 1'000'000)) && good;
}

bool RunQuick(const Options& options) {
  bool good = ReportExhaustive(QuickScopes(), options.limits);
  good &= ReportTraces(options.traces, AtMost(options.limits, 100'000));
  const std::vector<RuleInfo> rules = {InfoOf(Rule::kPromisesDurable), InfoOf(Rule::kReceiverStopped),
                                       InfoOf(Rule::kLsnOrder), InfoOf(Rule::kFence)};
  good &= ReportSwitches(rules, QuickScopes(), options.limits);
  return ReportWalks(100'000, options.seed) && good;
}

// The program's exit status.
int Run(const Options& options) {
  const std::string& command = options.command;
  bool good = false;
  if (command == "all") {
    good = RunAll(options);
  } else if (command == "exhaustive") {
    good = ReportExhaustive(ExhaustiveScopes(), options.limits);
  } else if (command == "traces") {
    good = ReportTraces(options.traces, AtMost(options.limits, 3'000'000));
  } else if (command == "switches") {
    good = ReportSwitches(RulesToTurnOff(options), SwitchScopes(), AtMost(options.limits, 1'000'000));
  } else if (command == "walk") {
    good = ReportWalks(options.steps, options.seed);
  } else if (command == "explore") {
    good = ReportOne(options.model, options.limits);
  } else if (command == "quick") {
    good = RunQuick(options);
  } else if (command == "rules") {
    for (const RuleInfo& info : AllRules()) fmt::print("{:26} {:4} {}\n", info.name, info.section, info.off);
    good = true;
  } else {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  fmt::print("{}\n", good ? "as it should be" : "NOT as it should be");
  return good ? 0 : 1;
}

}  // namespace
}  // namespace multigres::model

int main(int argc, char** argv) {
  const auto options = multigres::model::Parse({argv + 1, argv + argc});
  if (!options) {
    fmt::print(stderr, "{}", multigres::model::kUsage);
    return 2;
  }
  return multigres::model::Run(*options);
}
