#include "common/consensus/lsn.h"

#include <charconv>

namespace multigres::consensus {
namespace {

std::optional<std::uint32_t> ParseHalf(std::string_view digits) {
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Lsn> LsnOrLowest(std::string_view text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto high = ParseHalf(text.substr(0, slash));
  auto low = ParseHalf(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{*high} << 32 | *low;
}

Result<Lsn> ParseLsn(std::string_view text) {
  auto lsn = LsnOrLowest(text);
  if (!lsn) return Fail(Code::kInvalidArgument, fmt::format("'{}' is not an LSN", text));
  return *lsn;
}

std::string LsnText(Lsn lsn) {
  return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xFFFFFFFF);
}

}  // namespace multigres::consensus
