// Statements to plans. Pure: depends on the statement alone, so that plans can be shared by all sessions.
#pragma once

#include <string_view>

#include "common/sqlparse/statement.h"
#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::planner {

// `source` is the text that the statement was parsed from. What can't be served safely gets a plan that says so
// (0A000), in the order of the statement's hazards.
engine::PlanPtr MakePlan(const sqlparse::Statement& statement, std::string_view source);

}  // namespace multigres::gateway::planner
