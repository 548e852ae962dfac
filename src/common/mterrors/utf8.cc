#include "common/mterrors/utf8.h"

#include <cstdint>

namespace multigres::mterrors {
namespace {

bool IsContinuation(char c) {
  return (static_cast<std::uint8_t>(c) & 0xC0U) == 0x80U;
}

// Bytes of the well-formed character at the front of `text` (RFC 3629: no overlong forms, no surrogates), 0 = none.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  const std::uint8_t second = byte(1);
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  return length;
}

}  // namespace

std::string ToUtf8(std::string text) {
  std::string_view rest = text;
  std::size_t length = 0;
  while (!rest.empty() && (length = CharacterLength(rest)) > 0) rest.remove_prefix(length);
  if (rest.empty()) return text;
  std::string clean(text, 0, text.size() - rest.size());
  while (!rest.empty()) {
    length = CharacterLength(rest);
    if (length > 0) {
      clean.append(rest.substr(0, length));
    } else {
      clean.append("\xEF\xBF\xBD");
    }
    rest.remove_prefix(length > 0 ? length : 1);
  }
  return clean;
}

std::string_view CutUtf8(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  std::size_t end = limit;
  while (end > 0 && limit - end < 3 && IsContinuation(text[end])) --end;
  return text.substr(0, end);
}

}  // namespace multigres::mterrors
