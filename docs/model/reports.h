// The standard runs. Each prints what it does within which bounds, and says whether everything came out as it should.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "model/explorer.h"
#include "model/scopes.h"
#include "model/switches.h"

namespace multigres::model {

// All rules on: no violation, every state seen.
bool ReportExhaustive(std::span<const Scope> scopes, const Limits& limits);
// Each recorded trace happens with its rule off, and doesn't with it on.
bool ReportTraces(const std::string& folder, const Limits& limits);
// One rule off at a time: caught, or not within these bounds. False if a rule that is known to be caught isn't.
bool ReportSwitches(std::span<const RuleInfo> rules, std::span<const Scope> scopes, const Limits& limits);
// All rules on, at random.
bool ReportWalks(std::uint64_t steps, std::uint64_t seed);
// Bounds and rules of one's own.
bool ReportOne(const Model& model, const Limits& limits);

}  // namespace multigres::model
