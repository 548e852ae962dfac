#include "common/auth/scram_message.h"

#include <algorithm>

namespace multigres::auth {

namespace {

// A character of the peer's for an error text.
std::string Show(std::string_view message) {
  if (message.empty()) return "end of message";
  const auto c = static_cast<unsigned char>(message[0]);
  if (c > 0x20 && c < 0x7f) return std::string(1, message[0]);
  constexpr std::string_view kHex = "0123456789abcdef";
  return std::string("0x") + kHex[c >> 4] + kHex[c & 15];
}

}  // namespace

Error FatalError(std::string sqlstate, std::string message, std::string detail) {
  PgDiagnostic diagnostic;
  diagnostic.severity = "FATAL";
  diagnostic.code = std::move(sqlstate);
  diagnostic.message = std::move(message);
  diagnostic.detail = std::move(detail);
  return Error::FromDiagnostic(std::move(diagnostic), Code::kUnauthenticated).WithExecution(Execution::kDidNotExecute);
}

Error MalformedScramMessage(std::string detail) {
  return FatalError("08P01", "malformed SCRAM message", std::move(detail));
}

Result<ScramAttribute> TakeAnyAttribute(std::string_view& message) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (message.empty() || !is_letter(message[0])) {
    return std::unexpected(
        MalformedScramMessage("Attribute expected, but found invalid character \"" + Show(message) + "\"."));
  }
  ScramAttribute attribute;
  attribute.name = message[0];
  message.remove_prefix(1);
  if (!message.starts_with('=')) {
    return std::unexpected(
        MalformedScramMessage(std::string("Expected character \"=\" for attribute \"") + attribute.name + "\"."));
  }
  message.remove_prefix(1);
  const auto comma = message.find(',');
  attribute.value = message.substr(0, comma);
  message.remove_prefix(comma == std::string_view::npos ? message.size() : comma + 1);
  return attribute;
}

Result<std::string_view> TakeAttribute(std::string_view& message, char attribute) {
  if (!message.starts_with(attribute)) {
    return std::unexpected(MalformedScramMessage(std::string("Expected attribute \"") + attribute + "\" but found \"" +
                                                 Show(message) + "\"."));
  }
  auto taken = TakeAnyAttribute(message);
  if (!taken) return std::unexpected(std::move(taken.error()));
  return taken->value;
}

bool IsScramPrintable(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != ','; });
}

}  // namespace multigres::auth
