// Facts from tokens alone: what a parse tree doesn't locate, and statements that the grammar doesn't know. Internal to
// sqlparse.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/sqlparse/statement.h"

namespace multigres::sqlparse {

struct TokenSource {
  std::string_view text;
  bool standard_conforming_strings = true;
};

// One of the first `count` tokens is that keyword.
bool HasLeadingKeyword(TokenSource source, std::string_view keyword, int count);
// The end of the token that begins at `offset`, or `offset`.
std::size_t TokenEndAt(TokenSource source, std::size_t offset);

// PREPARE name [(type, ...)] AS body
struct PrepareParts {
  bool found = false;
  std::vector<Statement::TypeName> type_names;
  std::size_t body_begin = 0;
};
PrepareParts FindPrepareParts(TokenSource source);
// Where the name of EXECUTE's statement stands; {0, 0} if nowhere.
std::pair<std::size_t, std::size_t> FindExecutedName(TokenSource source, std::string_view name);

// The statement's parts between top-level semicolons, without blanks around them, empty ones left out. Semicolons in
// parentheses (CREATE RULE) and in BEGIN ATOMIC ... END bodies don't count. `max_depth` is an upper bound of how deep
// the grammar's left-recursive rules can nest in it.
struct Piece {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t max_depth = 0;
};
std::vector<Piece> SplitStatements(std::string_view sql, bool standard_conforming_strings);

// Classifies a statement without a parse tree: by its leading keywords, its effects by every token that could mean
// one. `syntax_error` becomes the statement's if running it unparsed could confuse the session's state.
void ClassifyTokens(std::string_view source, bool standard_conforming_strings, SyntaxError syntax_error,
                    Statement& statement);

}  // namespace multigres::sqlparse
