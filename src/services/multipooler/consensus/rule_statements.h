// A change of the rule as SQL.
#pragma once

#include <string>

#include "services/multipooler/consensus/shard_schema.h"

namespace multigres::pooler::consensus {

// One statement; it affects no row if the CAS fails.
std::string RuleStatement(const RuleCommit& commit);

}  // namespace multigres::pooler::consensus
