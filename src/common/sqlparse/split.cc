#include <algorithm>

#include "common/sqlparse/lexer.h"
#include "common/sqlparse/token_facts.h"

namespace multigres::sqlparse {
namespace {

// Follows one statement token by token.
class PieceTracker {
 public:
  void Start() { *this = PieceTracker(); }

  // True if the token is a semicolon that ends the statement.
  bool Add(const Token& token, std::string_view text) {
    if (token.kind == TokenKind::kSymbol) return AddSymbol(token.symbol);
    if (token.kind == TokenKind::kIdentifier) AddWord(text);
    Count();
    return false;
  }
  std::size_t max_depth() const { return max_depth_; }

 private:
  struct Level {
    std::size_t run = 0;      // tokens since the last one that begins a new list item
    std::size_t chained = 0;  // set operations and joins: they nest to the left whatever is between them
  };

  bool AddSymbol(char symbol) {
    switch (symbol) {
      case ';':
        if (levels_.size() == 1 && atomic_depth_ == 0) return true;
        levels_.back().run = 0;
        return false;
      case '(':
      case '[':
        Count();
        outer_depth_ += levels_.back().run + levels_.back().chained;
        levels_.emplace_back();
        return false;
      case ')':
      case ']':
        if (levels_.size() > 1) {
          levels_.pop_back();
          outer_depth_ -= levels_.back().run + levels_.back().chained;
        }
        Count();
        return false;
      case ',':
        levels_.back().run = 0;
        return false;
      default:
        Count();
        return false;
    }
  }

  void AddWord(std::string_view word) {
    word_count_++;
    if (word_count_ <= 4 && (EqualsKeyword(word, "function") || EqualsKeyword(word, "procedure"))) routine_ = true;
    if (EqualsKeyword(word, "and") || EqualsKeyword(word, "or")) levels_.back().run = 0;
    if (EqualsKeyword(word, "union") || EqualsKeyword(word, "intersect") || EqualsKeyword(word, "except") ||
        EqualsKeyword(word, "join")) {
      levels_.back().chained++;
      levels_.back().run = 0;
    }
    if (!routine_) return;
    if ((EqualsKeyword(word, "atomic") && begin_before_) || (atomic_depth_ > 0 && EqualsKeyword(word, "case"))) {
      atomic_depth_++;
    } else if (atomic_depth_ > 0 && EqualsKeyword(word, "end")) {
      atomic_depth_--;
    }
    begin_before_ = EqualsKeyword(word, "begin");
  }

  void Count() {
    Level& level = levels_.back();
    level.run++;
    max_depth_ = std::max(max_depth_, outer_depth_ + level.run + level.chained);
  }

  std::vector<Level> levels_ = std::vector<Level>(1);
  std::size_t outer_depth_ = 0;  // of the levels around the innermost, which stand still meanwhile
  std::size_t max_depth_ = 0;
  int word_count_ = 0;
  int atomic_depth_ = 0;
  bool routine_ = false;
  bool begin_before_ = false;
};

}  // namespace

std::vector<Piece> SplitStatements(std::string_view sql, bool standard_conforming_strings) {
  std::vector<Piece> pieces;
  Lexer lexer(sql, standard_conforming_strings);
  PieceTracker tracker;
  Piece piece;
  bool open = false;
  auto finish = [&] {
    if (open) {
      piece.max_depth = tracker.max_depth();
      pieces.push_back(piece);
    }
    tracker.Start();
    open = false;
  };
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    if (tracker.Add(token, lexer.Text(token))) {
      finish();
      continue;
    }
    if (!open) piece.begin = token.begin;
    piece.end = token.end;
    open = true;
  }
  finish();
  return pieces;
}

}  // namespace multigres::sqlparse
