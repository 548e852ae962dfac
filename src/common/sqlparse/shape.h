// A statement's text without its literals and comments: statements that differ in nothing else share one plan.
#pragma once

#include <string>
#include <string_view>

namespace multigres::sqlparse {

// Appends the shape to `key`. False (the key is then of no use) if the text holds more than one statement or can't be
// told apart lexically. A trailing semicolon is left out. `$1` stays: it isn't a literal.
bool AppendShape(std::string_view sql, bool standard_conforming_strings, std::string& key);

}  // namespace multigres::sqlparse
