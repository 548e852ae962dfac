#include "common/sqlparse/token_facts.h"

#include "common/sqlparse/lexer.h"

namespace multigres::sqlparse {

bool HasLeadingKeyword(TokenSource source, std::string_view keyword, int count) {
  Lexer lexer(source.text, source.standard_conforming_strings);
  for (int i = 0; i < count; i++) {
    Token token = lexer.Next();
    if (token.kind == TokenKind::kEnd) return false;
    if (token.kind == TokenKind::kIdentifier && EqualsKeyword(lexer.Text(token), keyword)) return true;
  }
  return false;
}

std::size_t TokenEndAt(TokenSource source, std::size_t offset) {
  if (offset >= source.text.size()) return offset;
  Lexer lexer(source.text.substr(offset), source.standard_conforming_strings);
  return offset + lexer.Next().end;
}

PrepareParts FindPrepareParts(TokenSource source) {
  PrepareParts parts;
  Lexer lexer(source.text, source.standard_conforming_strings);
  lexer.Next();  // PREPARE
  lexer.Next();  // the name
  Token token = lexer.Next();
  if (token.kind == TokenKind::kSymbol && token.symbol == '(') {
    int depth = 1;
    std::size_t type_begin = std::string_view::npos;
    while (depth > 0) {
      token = lexer.Next();
      if (token.kind == TokenKind::kEnd || token.kind == TokenKind::kUnterminated) return parts;
      if (type_begin == std::string_view::npos) type_begin = token.begin;
      if (token.kind != TokenKind::kSymbol) continue;
      if (token.symbol == '(' || token.symbol == '[') depth++;
      if (token.symbol == ')' || token.symbol == ']') depth--;
      if (depth == 0 || (depth == 1 && token.symbol == ',')) {
        parts.type_names.push_back({std::string(source.text.substr(type_begin, token.begin - type_begin)), type_begin});
        type_begin = std::string_view::npos;
      }
    }
    token = lexer.Next();
  }
  if (token.kind != TokenKind::kIdentifier || !EqualsKeyword(lexer.Text(token), "as")) return parts;
  parts.found = true;
  parts.body_begin = lexer.Next().begin;
  return parts;
}

std::pair<std::size_t, std::size_t> FindExecutedName(TokenSource source, std::string_view name) {
  Lexer lexer(source.text, source.standard_conforming_strings);
  bool after_execute = false;
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    bool identifier = token.kind == TokenKind::kIdentifier || token.kind == TokenKind::kQuotedIdentifier;
    if (after_execute && identifier && IdentifierName(lexer.Text(token)).substr(0, 63) == name) {
      return {token.begin, token.end};
    }
    after_execute = token.kind == TokenKind::kIdentifier && EqualsKeyword(lexer.Text(token), "execute");
  }
  return {0, 0};
}

}  // namespace multigres::sqlparse
