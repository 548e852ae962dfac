// PostgreSQL's lexical rules (manual, "Lexical Structure"), just enough to tell tokens apart: for text that the grammar
// can't parse, and for keys of the plan cache. Total: any bytes give tokens, none crashes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace multigres::sqlparse {

enum class TokenKind : std::uint8_t {
  kEnd,
  kIdentifier,        // unquoted, keywords included
  kQuotedIdentifier,  // "..." and U&"..."
  kString,            // '...' in all its forms, dollar quotes included
  kNumber,
  kParameter,     // $1
  kSymbol,        // one byte of punctuation or of an operator
  kUnterminated,  // a string, identifier or comment that reaches the end of the text
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t begin = 0;
  std::size_t end = 0;
  // Symbols only.
  char symbol = 0;
};

class Lexer {
 public:
  Lexer(std::string_view sql, bool standard_conforming_strings)
      : sql_(sql), standard_strings_(standard_conforming_strings) {}

  // Blanks and comments are skipped.
  Token Next();
  std::string_view Text(const Token& token) const { return sql_.substr(token.begin, token.end - token.begin); }
  std::string_view sql() const { return sql_; }

 private:
  char At(std::size_t i) const { return i < sql_.size() ? sql_[i] : '\0'; }
  bool SkipComment();
  // All start at the opening quote and return false if the text ends before the closing one.
  bool SkipString(bool backslash_escapes);
  bool SkipQuotedIdentifier();
  bool SkipDollarQuoted(std::size_t tag_end);
  // After a closing quote: steps over a line break to a quote that continues the literal.
  bool SkipToContinuation();
  // The position after `$tag$` if one starts here, else 0.
  std::size_t DollarTagEnd() const;
  void SkipNumber();
  Token Finish(TokenKind kind, std::size_t begin) const { return Token{kind, begin, pos_}; }

  std::string_view sql_;
  bool standard_strings_;
  std::size_t pos_ = 0;
};

// An identifier token's name as PostgreSQL resolves it: unquoted, ASCII-folded unless it was quoted. (U& escapes aren't
// decoded.)
std::string IdentifierName(std::string_view token);
// Does an unquoted token equal the keyword, given in lower case?
bool EqualsKeyword(std::string_view token, std::string_view keyword);
// All bytes are UTF-8 as PostgreSQL accepts it, and none is zero.
bool IsValidUtf8(std::string_view text);

}  // namespace multigres::sqlparse
