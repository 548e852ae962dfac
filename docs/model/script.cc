#include "model/script.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "model/scopes.h"

namespace multigres::model {
namespace {

using Parsed = std::expected<void, std::string>;

Parsed ParseRules(std::istringstream& words, std::vector<Rule>& rules) {
  for (std::string word; words >> word;) {
    auto rule = RuleByName(word);
    if (!rule) return std::unexpected("no rule " + word);
    rules.push_back(*rule);
  }
  return {};
}

Parsed ParseBounds(std::istringstream& words, Bounds& bounds) {
  for (std::string word; words >> word;) {
    if (!SetBound(bounds, word)) return std::unexpected("no bound " + word);
  }
  return {};
}

Parsed ParseLine(const std::string& line, Script& script) {
  std::istringstream words(line);
  std::string keyword;
  words >> keyword;
  if (keyword == "#") {
    if (script.title.empty()) script.title = line.substr(2);
    return {};
  }
  if (keyword == "bounds") return ParseBounds(words, script.bounds);
  if (keyword == "off") return ParseRules(words, script.rules);
  if (keyword == "without") return ParseRules(words, script.without);
  if (keyword == "violates") {
    int number = 0;
    if (!(words >> number) || number < 1 || number > 8) return std::unexpected("no invariant of that number");
    script.expected = static_cast<Invariant>(number);
    return {};
  }
  script.steps.push_back(line);
  return {};
}

// In full, or up to a comma.
bool Says(const std::string& text, const std::string& line) {
  return text.starts_with(line) && (text.size() == line.size() || text[line.size()] == ',');
}

// The successor that the line means.
std::expected<const Successor*, std::string> Find(const Model& model, const State& state,
                                                  const std::vector<Successor>& successors, const std::string& line) {
  const Successor* found = nullptr;
  for (const Successor& successor : successors) {
    if (!Says(StepText(model, state, successor.step, successor.state), line)) continue;
    if (found != nullptr && std::memcmp(&found->state, &successor.state, sizeof(State)) != 0) {
      return std::unexpected("'" + line + "' can mean several steps");
    }
    found = &successor;
  }
  return found;
}

}  // namespace

std::expected<Script, std::string> ParseScript(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::unexpected(path + " can't be read");
  Script script;
  script.name = path.substr(path.rfind('/') + 1);
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty()) continue;
    if (auto parsed = ParseLine(line, script); !parsed) {
      return std::unexpected(fmt::format("{}:{}: {}", path, number, parsed.error()));
    }
  }
  return script;
}

Model ModelOf(const Script& script, bool rule_on) {
  Model model{.bounds = script.bounds, .switches = {}};
  for (Rule rule : script.without) model.switches.TurnOff(rule);
  for (Rule rule : script.rules) {
    rule_on ? model.switches.TurnOn(rule) : model.switches.TurnOff(rule);
  }
  model.invariants = static_cast<std::uint16_t>(1u << static_cast<int>(script.expected));
  return model;
}

std::expected<Replay, std::string> Run(const Script& script, const Model& model) {
  Replay replay;
  replay.last = InitialState(model);
  std::vector<Successor> successors;
  for (const std::string& line : script.steps) {
    Successors(model, replay.last, successors);
    auto found = Find(model, replay.last, successors, line);
    if (!found) return std::unexpected(std::move(found.error()));
    if (*found == nullptr) {
      replay.refused = line;
      return replay;
    }
    replay.steps.push_back(StepText(model, replay.last, (*found)->step, (*found)->state));
    replay.violated = (*found)->state.violated;
    replay.last = State((*found)->state);
    if (replay.violated != Invariant::kNone) return replay;
  }
  return replay;
}

}  // namespace multigres::model
