#include "services/multigateway/executor/statement_text.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstring>

#include "common/sqlparse/lexer.h"

namespace multigres::gateway::executor {
namespace {

bool IsAscii(std::string_view text) {
  std::uint64_t bits = 0;
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    bits |= word;
    text.remove_prefix(8);
  }
  for (char c : text) bits |= static_cast<unsigned char>(c);
  return (bits & 0x8080808080808080ULL) == 0;
}

// The first character that isn't UTF-8, as PostgreSQL shows it: the bytes that its first byte announces.
std::string BadBytes(std::string_view text) {
  std::size_t good = 0;
  while (good < text.size()) {
    std::size_t length = 1;
    while (length <= 4 && good + length <= text.size() && !sqlparse::IsValidUtf8(text.substr(good, length))) length++;
    if (length > 4 || good + length > text.size()) break;
    good += length;
  }
  std::string shown;
  if (good >= text.size()) return shown;
  auto first = static_cast<unsigned char>(text[good]);
  std::size_t announced = first >= 0xF8 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
  for (std::size_t i = good; i < text.size() && i < good + announced; i++) {
    shown += fmt::format("{}0x{:02x}", shown.empty() ? "" : " ", static_cast<unsigned char>(text[i]));
  }
  return shown;
}

}  // namespace

Result<> CheckText(const session::Session& session, std::string_view sql) {
  if (IsAscii(sql) || sqlparse::IsValidUtf8(sql)) return {};
  const std::string* encoding = session.reported().Get("client_encoding");
  if (encoding == nullptr || *encoding == "UTF8") {
    return Fail(Code::kInvalidArgument, "22021",
                fmt::format("invalid byte sequence for encoding \"UTF8\": {}", BadBytes(sql)));
  }
  return Fail(
      Code::kUnimplemented, "0A000",
      fmt::format("statement text in client_encoding \"{}\" is not supported through the connection pooler; use "
                  "UTF8",
                  *encoding));
}

}  // namespace multigres::gateway::executor
