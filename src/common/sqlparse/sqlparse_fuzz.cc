// No text crashes the parser, and every range that it reports lies inside the text.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/sqlparse/lexer.h"
#include "common/sqlparse/parser.h"
#include "common/sqlparse/shape.h"
#include "tools/result/check.h"

using multigres::sqlparse::Statement;

namespace {

void CheckRanges(const Statement& statement, std::string_view sql) {
  CHECK(statement.begin <= statement.end && statement.end <= sql.size());
  CHECK(statement.executes_begin <= statement.executes_end && statement.executes_end <= sql.size());
  for (const auto& call : statement.set_config) CHECK(call.flag_begin <= call.flag_end && call.flag_end <= sql.size());
  if (statement.body) CheckRanges(*statement.body, sql);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  bool standard_strings = (data[0] & 1) != 0;
  std::string_view sql(reinterpret_cast<const char*>(data) + 1, size - 1);
  multigres::sqlparse::ParsedQuery query = multigres::sqlparse::Parse(sql, {standard_strings});
  for (const Statement& statement : query.statements) CheckRanges(statement, sql);
  std::string key;
  multigres::sqlparse::AppendShape(sql, standard_strings, key);
  multigres::sqlparse::IsValidUtf8(sql);
  return 0;
}
