// Values in SQL text of the gateway's own.
#pragma once

#include <string>
#include <string_view>

namespace multigres::gateway::engine {

// 'value', or E'value' where a backslash would read differently by standard_conforming_strings.
inline std::string SqlLiteral(std::string_view value) {
  std::string literal = value.find('\\') == std::string_view::npos ? "'" : "E'";
  for (char c : value) {
    if (c == '\'' || c == '\\') literal.push_back(c);
    literal.push_back(c);
  }
  literal.push_back('\'');
  return literal;
}

}  // namespace multigres::gateway::engine
