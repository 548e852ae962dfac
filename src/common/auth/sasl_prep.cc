#include "common/auth/sasl_prep.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace multigres::auth {

namespace {

// Takes one code point off the front; nothing if the bytes aren't UTF-8.
std::optional<std::uint32_t> TakeCodePoint(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  std::size_t length = 1;
  std::uint32_t point = first;
  std::uint32_t least = 0;
  if (first >= 0xf0 && first < 0xf8) {
    length = 4, point = first & 0x07, least = 0x10000;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3, point = first & 0x0f, least = 0x800;
  } else if (first >= 0xc0 && first < 0xe0) {
    length = 2, point = first & 0x1f, least = 0x80;
  } else if (first >= 0x80) {
    return std::nullopt;
  }
  if (length > text.size()) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(i) & 0x3f);
  }
  if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return std::nullopt;
  text.remove_prefix(length);
  return point;
}

bool MapsToNothing(std::uint32_t point) {
  constexpr std::array<std::uint32_t, 7> kSingle = {0x00ad, 0x034f, 0x1806, 0x200c, 0x200d, 0x2060, 0xfeff};
  return std::ranges::find(kSingle, point) != kSingle.end() || (point >= 0x180b && point <= 0x180d) ||
         (point >= 0xfe00 && point <= 0xfe0f);
}

bool MapsToSpace(std::uint32_t point) {
  constexpr std::array<std::uint32_t, 5> kSingle = {0x00a0, 0x1680, 0x202f, 0x205f, 0x3000};
  return std::ranges::find(kSingle, point) != kSingle.end() || (point >= 0x2000 && point <= 0x200b);
}

}  // namespace

std::string SaslPrep(std::string_view password) {
  const bool ascii = std::ranges::all_of(password, [](char c) { return static_cast<std::uint8_t>(c) < 0x80; });
  if (ascii) return std::string(password);
  std::string prepared;
  std::string_view rest = password;
  while (!rest.empty()) {
    const std::string_view before = rest;
    const auto point = TakeCodePoint(rest);
    if (!point) return std::string(password);
    if (MapsToNothing(*point)) continue;
    if (MapsToSpace(*point)) {
      prepared.push_back(' ');
    } else {
      prepared.append(before.substr(0, before.size() - rest.size()));
    }
  }
  // An empty result is prohibited: the raw bytes then.
  return prepared.empty() ? std::string(password) : prepared;
}

}  // namespace multigres::auth
