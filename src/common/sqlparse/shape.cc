#include "common/sqlparse/shape.h"

#include "common/sqlparse/lexer.h"

namespace multigres::sqlparse {

bool AppendShape(std::string_view sql, bool standard_conforming_strings, std::string& key) {
  Lexer lexer(sql, standard_conforming_strings);
  bool ended = false;
  std::size_t previous_end = 0;
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    if (token.kind == TokenKind::kUnterminated || ended) return false;
    if (token.kind == TokenKind::kSymbol && token.symbol == ';') {
      ended = true;
      continue;
    }
    // Blanks matter between tokens ("a - -1", "a b"), how many doesn't.
    if (token.begin != previous_end) key.push_back(' ');
    previous_end = token.end;
    switch (token.kind) {
      case TokenKind::kString:
        key.append("'?'");
        break;
      case TokenKind::kNumber:
        key.push_back('?');
        break;
      default:
        key.append(lexer.Text(token));
    }
  }
  return true;
}

}  // namespace multigres::sqlparse
