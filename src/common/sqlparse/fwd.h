// The names of sqlparse, for headers that only pass them on.
#pragma once

namespace multigres::sqlparse {

struct ParsedQuery;
struct Statement;

}  // namespace multigres::sqlparse
