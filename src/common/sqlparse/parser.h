// SQL text to facts about its statements. PostgreSQL 15's grammar (libpg_query); text that it doesn't know is split and
// classified by its tokens instead of being refused, because the server behind may be newer. Total: any bytes give an
// answer, in bounded time and stack.
#pragma once

#include <string_view>

#include "common/sqlparse/statement.h"

namespace multigres::sqlparse {

struct ParseOptions {
  bool standard_conforming_strings = true;
};

// No statements for blanks, comments and semicolons only. Offsets are into `sql`.
ParsedQuery Parse(std::string_view sql, ParseOptions options = {});

}  // namespace multigres::sqlparse
