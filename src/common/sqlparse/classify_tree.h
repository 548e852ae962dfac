// Facts from a parse tree. Internal to sqlparse.
#pragma once

#include <string_view>

#include "common/sqlparse/parse_tree.h"
#include "common/sqlparse/statement.h"

namespace multigres::sqlparse {

// Fills everything but the text range. `source` with `statement.begin` and `.end` set is needed for what the tree
// doesn't locate; tree locations count from `origin`.
void ClassifyTree(TreeNode root, std::string_view source, std::size_t origin, bool standard_conforming_strings,
                  Statement& statement);

}  // namespace multigres::sqlparse
