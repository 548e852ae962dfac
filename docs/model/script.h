// A recorded run: a text file that says what may happen, which rules are off, and then step by step what does happen.
// Each step is checked to be a legal transition.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "model/explorer.h"

namespace multigres::model {

struct Script {
  std::string name;
  std::string title;  // the first comment line
  Bounds bounds;
  std::vector<Rule> rules;    // what the trace is about: off, it happens; on, it doesn't
  std::vector<Rule> without;  // off in both cases
  Invariant expected = Invariant::kNone;
  std::vector<std::string> steps;  // each a step's text, in full or up to a comma
};

// Lines: "# comment", "bounds name=value ...", "off rule ...", "without rule ...", "violates N", steps.
std::expected<Script, std::string> ParseScript(const std::string& path);

struct Replay {
  Invariant violated = Invariant::kNone;
  State last;                      // after the last legal step
  std::vector<std::string> steps;  // in full
  std::string refused;             // the first step that isn't legal; empty if all were
};

// An error if a line fits steps that lead to different states.
std::expected<Replay, std::string> Run(const Script& script, const Model& model);

Model ModelOf(const Script& script, bool rule_on);

}  // namespace multigres::model
