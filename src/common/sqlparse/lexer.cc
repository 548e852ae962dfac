#include "common/sqlparse/lexer.h"

#include <array>

namespace multigres::sqlparse {
namespace {

enum : std::uint8_t { kIdentStart = 1, kIdentPart = 2, kDigit = 4, kSpace = 8 };

constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; c++) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
    bool digit = c >= '0' && c <= '9';
    std::uint8_t bits = 0;
    if (letter) bits |= kIdentStart | kIdentPart;
    if (digit) bits |= kDigit | kIdentPart;
    if (c == '$') bits |= kIdentPart;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') bits |= kSpace;
    classes[static_cast<std::size_t>(c)] = bits;
  }
  return classes;
}();

bool Is(char c, std::uint8_t bits) {
  return (kClasses[static_cast<unsigned char>(c)] & bits) != 0;
}
char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool Lexer::SkipComment() {
  if (At(pos_) == '-') {
    while (pos_ < sql_.size() && sql_[pos_] != '\n' && sql_[pos_] != '\r') pos_++;
    return true;
  }
  int depth = 0;
  while (pos_ < sql_.size()) {
    if (At(pos_) == '/' && At(pos_ + 1) == '*') {
      depth++;
      pos_ += 2;
    } else if (At(pos_) == '*' && At(pos_ + 1) == '/') {
      pos_ += 2;
      if (--depth == 0) return true;
    } else {
      pos_++;
    }
  }
  return false;
}

bool Lexer::SkipToContinuation() {
  std::size_t at = pos_;
  bool line_break = false;
  for (;;) {
    char c = At(at);
    if (at < sql_.size() && Is(c, kSpace)) {
      line_break = line_break || c == '\n' || c == '\r';
      at++;
    } else if (c == '-' && At(at + 1) == '-') {
      while (at < sql_.size() && sql_[at] != '\n' && sql_[at] != '\r') at++;
    } else {
      break;
    }
  }
  if (!line_break || At(at) != '\'') return false;
  pos_ = at;
  return true;
}

bool Lexer::SkipString(bool backslash_escapes) {
  do {
    pos_++;
    for (;;) {
      if (pos_ >= sql_.size()) return false;
      char c = sql_[pos_];
      if (c == '\\' && backslash_escapes) {
        pos_ += 2;
      } else if (c == '\'') {
        pos_++;
        if (At(pos_) != '\'') break;
        pos_++;
      } else {
        pos_++;
      }
    }
  } while (SkipToContinuation());
  return true;
}

bool Lexer::SkipQuotedIdentifier() {
  pos_++;
  while (pos_ < sql_.size()) {
    if (sql_[pos_++] != '"') continue;
    if (At(pos_) != '"') return true;
    pos_++;
  }
  return false;
}

std::size_t Lexer::DollarTagEnd() const {
  std::size_t at = pos_ + 1;
  if (At(at) == '$') return at + 1;
  if (!Is(At(at), kIdentStart)) return 0;
  while (at < sql_.size() && Is(sql_[at], kIdentStart | kDigit)) at++;
  return At(at) == '$' ? at + 1 : 0;
}

bool Lexer::SkipDollarQuoted(std::size_t tag_end) {
  std::string_view tag = sql_.substr(pos_, tag_end - pos_);
  std::size_t close = sql_.find(tag, tag_end);
  if (close == std::string_view::npos) {
    pos_ = sql_.size();
    return false;
  }
  pos_ = close + tag.size();
  return true;
}

void Lexer::SkipNumber() {
  // Also what later versions accept (0x1f, 1_000); a sign after an exponent's e belongs to it.
  bool hex = At(pos_) == '0' && (Lower(At(pos_ + 1)) == 'x');
  while (pos_ < sql_.size()) {
    char c = sql_[pos_];
    if (!Is(c, kIdentStart | kDigit) && c != '.') break;
    if (c == '.' && At(pos_ + 1) == '.') break;
    pos_++;
    if (!hex && Lower(c) == 'e' && (At(pos_) == '+' || At(pos_) == '-') && Is(At(pos_ + 1), kDigit)) pos_++;
  }
}

Token Lexer::Next() {
  for (;;) {
    while (pos_ < sql_.size() && Is(sql_[pos_], kSpace)) pos_++;
    std::size_t begin = pos_;
    char c = At(pos_);
    if ((c == '-' && At(pos_ + 1) == '-') || (c == '/' && At(pos_ + 1) == '*')) {
      if (!SkipComment()) return Finish(TokenKind::kUnterminated, begin);
      continue;
    }
    break;
  }
  std::size_t begin = pos_;
  if (begin >= sql_.size()) return Finish(TokenKind::kEnd, begin);
  char c = sql_[begin];
  if (c == '\'') {
    bool closed = SkipString(!standard_strings_);
    if (pos_ > sql_.size()) pos_ = sql_.size();
    return Finish(closed ? TokenKind::kString : TokenKind::kUnterminated, begin);
  }
  if (c == '"') return Finish(SkipQuotedIdentifier() ? TokenKind::kQuotedIdentifier : TokenKind::kUnterminated, begin);
  if (Is(c, kIdentStart)) {
    char prefix = Lower(c);
    if (At(begin + 1) == '\'' && (prefix == 'e' || prefix == 'b' || prefix == 'x' || prefix == 'n')) {
      pos_++;
      bool closed = SkipString(prefix == 'e' || (prefix == 'n' && !standard_strings_));
      if (pos_ > sql_.size()) pos_ = sql_.size();
      return Finish(closed ? TokenKind::kString : TokenKind::kUnterminated, begin);
    }
    if (prefix == 'u' && At(begin + 1) == '&' && (At(begin + 2) == '\'' || At(begin + 2) == '"')) {
      pos_ += 2;
      bool string = At(pos_) == '\'';
      bool closed = string ? SkipString(false) : SkipQuotedIdentifier();
      TokenKind kind = string ? TokenKind::kString : TokenKind::kQuotedIdentifier;
      return Finish(closed ? kind : TokenKind::kUnterminated, begin);
    }
    while (pos_ < sql_.size() && Is(sql_[pos_], kIdentPart)) pos_++;
    return Finish(TokenKind::kIdentifier, begin);
  }
  if (Is(c, kDigit) || (c == '.' && Is(At(begin + 1), kDigit))) {
    SkipNumber();
    return Finish(TokenKind::kNumber, begin);
  }
  if (c == '$') {
    if (Is(At(begin + 1), kDigit)) {
      pos_++;
      while (pos_ < sql_.size() && Is(sql_[pos_], kDigit)) pos_++;
      return Finish(TokenKind::kParameter, begin);
    }
    std::size_t tag_end = DollarTagEnd();
    if (tag_end != 0) {
      return Finish(SkipDollarQuoted(tag_end) ? TokenKind::kString : TokenKind::kUnterminated, begin);
    }
  }
  pos_++;
  Token token = Finish(TokenKind::kSymbol, begin);
  token.symbol = c;
  return token;
}

std::string IdentifierName(std::string_view token) {
  std::string name;
  name.reserve(token.size());
  if (token.size() >= 2 && token.front() == '"') {
    token = token.substr(1, token.size() - 2);
    for (std::size_t i = 0; i < token.size(); i++) {
      name.push_back(token[i]);
      if (token[i] == '"') i++;
    }
    return name;
  }
  for (char c : token) name.push_back(Lower(c));
  return name;
}

bool EqualsKeyword(std::string_view token, std::string_view keyword) {
  if (token.size() != keyword.size()) return false;
  for (std::size_t i = 0; i < token.size(); i++) {
    if (Lower(token[i]) != keyword[i]) return false;
  }
  return true;
}

bool IsValidUtf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == 0) return false;
    if (c < 0x80) {
      i++;
      continue;
    }
    std::size_t length = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return false;
    auto second = static_cast<unsigned char>(text[i + 1]);
    if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) ||
        (c == 0xF4 && second > 0x8F)) {
      return false;
    }
    for (std::size_t k = 1; k < length; k++) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

}  // namespace multigres::sqlparse
