#include "common/sqlparse/parser.h"

#include <pg_query.h>

#include <algorithm>
#include <memory>

#include "common/sqlparse/classify_tree.h"
#include "common/sqlparse/lexer.h"
#include "common/sqlparse/parse_tree.h"
#include "common/sqlparse/token_facts.h"

// The lexer's setting inside libpg_query; its public header has no other way to it.
extern "C" __thread bool standard_conforming_strings;

namespace multigres::sqlparse {
namespace {

namespace t = tree;

// A parse costs about 0.3 us a byte, and nesting more than its share. Beyond these bounds text is taken by its tokens.
constexpr std::size_t kMaxParsedBytes = 64UL * 1024;
constexpr std::size_t kMaxParsedDepth = 2500;
constexpr std::size_t kParseBudgetBytes = 512UL * 1024;

// One parse by libpg_query and its memory.
class RawParse {
 public:
  RawParse(std::string_view text, bool standard_strings) {
    ::standard_conforming_strings = standard_strings;
    result_ = pg_query_parse_protobuf(std::string(text).c_str());
  }
  RawParse(const RawParse&) = delete;
  RawParse& operator=(const RawParse&) = delete;
  ~RawParse() { pg_query_free_protobuf_parse_result(result_); }

  bool ok() const { return result_.error == nullptr; }
  TreeNode root() const { return {t::Type::ParseResult, {result_.parse_tree.data, result_.parse_tree.len}}; }
  SyntaxError error() const {
    return {.sqlstate = "42601", .message = result_.error->message, .position = std::max(result_.error->cursorpos, 0)};
  }

 private:
  PgQueryProtobufParseResult result_;
};

class SourceParser {
 public:
  SourceParser(std::string_view sql, ParseOptions options) : sql_(sql), options_(options) {}

  ParsedQuery Run() {
    pieces_ = SplitStatements(sql_, options_.standard_conforming_strings);
    if (pieces_.empty()) return {};
    if (Fits(pieces_.front().begin, pieces_.back().end, DeepestPiece()) && ParseWhole()) return std::move(query_);
    query_ = {};
    for (const Piece& piece : pieces_) ParsePiece(piece);
    return std::move(query_);
  }

 private:
  std::size_t DeepestPiece() const {
    std::size_t depth = 0;
    for (const Piece& piece : pieces_) depth = std::max(depth, piece.max_depth);
    return depth;
  }

  static bool Fits(std::size_t begin, std::size_t end, std::size_t depth) {
    return end - begin <= kMaxParsedBytes && depth <= kMaxParsedDepth;
  }

  // The usual case: one parse, whose statements are the grammar's own.
  bool ParseWhole() {
    if (sql_.find('\0') != std::string_view::npos) return false;
    RawParse parse(sql_, options_.standard_conforming_strings);
    if (!parse.ok()) return false;
    for (TreeNode raw : parse.root().Children(t::ParseResult_::k_stmts)) {
      TreeNode root = raw.Child(t::RawStmt_::k_stmt);
      if (!root) continue;
      auto begin = static_cast<std::size_t>(raw.Number(t::RawStmt_::k_stmt_location));
      auto length = static_cast<std::size_t>(raw.Number(t::RawStmt_::k_stmt_len));
      Add(root, Trim(begin, length == 0 ? sql_.size() : begin + length), 0);
    }
    return true;
  }

  // The range from its first token to the end of its last.
  Piece Trim(std::size_t begin, std::size_t end) const {
    begin = std::min(begin, sql_.size());
    end = std::min(std::max(begin, end), sql_.size());
    for (const Piece& piece : pieces_) {
      if (piece.begin >= begin && piece.end <= end) {
        // As a rule they are the same; a rule's body splits otherwise, then the last piece tells the end.
        Piece trimmed = piece;
        for (const Piece& more : pieces_) {
          if (more.begin >= trimmed.begin && more.end <= end) trimmed.end = std::max(trimmed.end, more.end);
        }
        return trimmed;
      }
    }
    return {begin, end, 0};
  }

  void ParsePiece(const Piece& piece) {
    std::string_view text = sql_.substr(piece.begin, piece.end - piece.begin);
    SyntaxError error{.sqlstate = "54001", .message = "statement is too long or too deeply nested to be analysed"};
    bool affordable = parsed_bytes_ + text.size() <= kParseBudgetBytes;
    if (text.find('\0') != std::string_view::npos) {
      error = {.sqlstate = "42601", .message = "syntax error: the statement contains a zero byte"};
    } else if (affordable && Fits(piece.begin, piece.end, piece.max_depth)) {
      parsed_bytes_ += text.size();
      RawParse parse(text, options_.standard_conforming_strings);
      if (parse.ok()) {
        auto statements = parse.root().Children(t::ParseResult_::k_stmts);
        TreeNode root = statements.empty() ? TreeNode() : statements.front().Child(t::RawStmt_::k_stmt);
        if (statements.size() == 1 && root) return Add(root, piece, piece.begin);
      } else {
        error = parse.error();
      }
    }
    Statement& statement = query_.statements.emplace_back();
    statement.begin = piece.begin;
    statement.end = piece.end;
    ClassifyTokens(sql_, options_.standard_conforming_strings, std::move(error), statement);
  }

  void Add(TreeNode root, const Piece& piece, std::size_t origin) {
    Statement& statement = query_.statements.emplace_back();
    statement.begin = piece.begin;
    statement.end = piece.end;
    ClassifyTree(root, sql_, origin, options_.standard_conforming_strings, statement);
  }

  std::string_view sql_;
  ParseOptions options_;
  std::vector<Piece> pieces_;
  ParsedQuery query_;
  std::size_t parsed_bytes_ = 0;
};

}  // namespace

ParsedQuery Parse(std::string_view sql, ParseOptions options) {
  return SourceParser(sql, options).Run();
}

}  // namespace multigres::sqlparse
