// The texts for what a pooler can't do.
#pragma once

#include "common/sqlparse/statement.h"
#include "tools/result/error.h"

namespace multigres::gateway::planner {

// 0A000.
Error RejectionOf(const sqlparse::Hazard& hazard);

}  // namespace multigres::gateway::planner
