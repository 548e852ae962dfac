#include <algorithm>
#include <array>

#include "common/sqlparse/function_catalog.h"
#include "common/sqlparse/lexer.h"
#include "common/sqlparse/token_facts.h"

namespace multigres::sqlparse {
namespace {

using Kind = StatementKind;

// Their effect on the session's state is in their grammar: without a parse they can't be run safely.
constexpr auto kStateful =
    std::to_array<std::string_view>({"begin",   "start",  "commit",   "end",  "rollback", "abort",   "savepoint",
                                     "release", "set",    "reset",    "show", "prepare",  "execute", "deallocate",
                                     "discard", "listen", "unlisten", "copy", "declare",  "close",   "load"});

Kind KindOf(std::string_view keyword) {
  if (EqualsKeyword(keyword, "select") || EqualsKeyword(keyword, "with") || EqualsKeyword(keyword, "values") ||
      EqualsKeyword(keyword, "table")) {
    return Kind::kSelect;
  }
  if (EqualsKeyword(keyword, "insert")) return Kind::kInsert;
  if (EqualsKeyword(keyword, "update")) return Kind::kUpdate;
  if (EqualsKeyword(keyword, "delete")) return Kind::kDelete;
  if (EqualsKeyword(keyword, "merge")) return Kind::kMerge;
  if (EqualsKeyword(keyword, "explain")) return Kind::kExplain;
  return Kind::kUtility;
}

bool IsStateful(std::string_view keyword) {
  for (std::string_view stateful : kStateful) {
    if (EqualsKeyword(keyword, stateful)) return true;
  }
  return false;
}

class TokenClassifier {
 public:
  explicit TokenClassifier(Statement& out) : out_(out) {}

  void Add(const Token& token, std::string_view text) {
    bool identifier = token.kind == TokenKind::kIdentifier || token.kind == TokenKind::kQuotedIdentifier;
    if (identifier) {
      if (token.kind == TokenKind::kIdentifier) AddKeyword(text);
      if (last_symbol_ != '.') schema_.clear();
      name_ = IdentifierName(text);
    } else if (token.kind == TokenKind::kSymbol && token.symbol == '.') {
      schema_ = std::move(name_);
      if (schema_.starts_with("pg_temp") && create_) out_.hazards.push_back({HazardKind::kCreateInPgTemp, ""});
      name_.clear();
    } else if (token.kind == TokenKind::kSymbol && token.symbol == '(') {
      if (!name_.empty()) AddFunction();
      name_.clear();
    } else {
      name_.clear();
    }
    if (token.kind == TokenKind::kParameter) out_.max_parameter = std::max(out_.max_parameter, 1);
    last_symbol_ = token.kind == TokenKind::kSymbol ? token.symbol : 0;
    count_++;
  }

 private:
  void AddKeyword(std::string_view word) {
    if (count_ == 0) {
      create_ = EqualsKeyword(word, "create");
      out_.kind = KindOf(word);
      stateful_ = IsStateful(word);
    }
    bool leading = create_ && count_ <= 6;
    bool temp = EqualsKeyword(word, "temp") || EqualsKeyword(word, "temporary");
    if (temp && (leading || after_into_)) out_.effects |= kCreatesTemp;
    if (leading) {
      for (std::string_view object : {"database", "language", "subscription", "server", "wrapper"}) {
        if (EqualsKeyword(word, object))
          out_.hazards.push_back({HazardKind::kStatement, "CREATE " + std::string(object)});
      }
    }
    if (EqualsKeyword(word, "system") && count_ == 1) out_.hazards.push_back({HazardKind::kStatement, "ALTER SYSTEM"});
    if (EqualsKeyword(word, "synchronous_commit")) out_.hazards.push_back({HazardKind::kSynchronousCommit, ""});
    after_into_ = EqualsKeyword(word, "into");
  }

  void AddFunction() {
    switch (ClassifyFunction(schema_, name_)) {
      case FunctionClass::kOrdinary:
      case FunctionClass::kCurrentSetting:
        return;
      case FunctionClass::kForbidden:
        out_.hazards.push_back({HazardKind::kFunction, name_});
        return;
      case FunctionClass::kAdvisoryLock:
        out_.effects |= kTakesAdvisoryLock;
        return;
      case FunctionClass::kAdvisoryUnlock:
        out_.effects |= kReleasesAdvisoryLock;
        return;
      case FunctionClass::kSetSeed:
        out_.effects |= kSetsSeed;
        return;
      case FunctionClass::kLogicalSlot:
      case FunctionClass::kPhysicalSlot:
        out_.hazards.push_back({HazardKind::kPermanentSlot, name_});
        return;
      case FunctionClass::kSetConfig:
        out_.has_set_config = true;
        out_.hazards.push_back({HazardKind::kSetConfigPlace, ""});
        return;
    }
  }

 public:
  bool stateful_ = false;

 private:
  Statement& out_;
  int count_ = 0;
  bool create_ = false;
  bool after_into_ = false;
  std::string schema_;
  std::string name_;
  char last_symbol_ = 0;
};

}  // namespace

void ClassifyTokens(std::string_view source, bool standard_conforming_strings, SyntaxError syntax_error,
                    Statement& statement) {
  statement.parsed = false;
  statement.kind = Kind::kUtility;
  Lexer lexer(statement.Text(source), standard_conforming_strings);
  TokenClassifier classifier(statement);
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    classifier.Add(token, lexer.Text(token));
  }
  if (!classifier.stateful_) return;
  statement.kind = Kind::kSyntaxError;
  statement.syntax_error = std::move(syntax_error);
}

}  // namespace multigres::sqlparse
