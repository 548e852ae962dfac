#include "common/rpc/timeout_codec.h"

#include <array>
#include <charconv>
#include <cstdint>

namespace multigres::rpc {

namespace {

struct Unit {
  char letter;
  std::int64_t nanoseconds;
};
constexpr std::array<Unit, 6> kUnits = {{
    {'n', 1},
    {'u', 1'000},
    {'m', 1'000'000},
    {'S', 1'000'000'000},
    {'M', 60'000'000'000},
    {'H', 3'600'000'000'000},
}};
constexpr std::int64_t kMaxDigitsValue = 99'999'999;

}  // namespace

std::string EncodeTimeout(Duration timeout) {
  const std::int64_t ns = std::max<std::int64_t>(timeout.count(), 0);
  for (const Unit& unit : kUnits) {
    const std::int64_t amount = ns / unit.nanoseconds + (ns % unit.nanoseconds != 0 ? 1 : 0);
    if (amount <= kMaxDigitsValue) return std::to_string(amount) + unit.letter;
  }
  return std::to_string(kMaxDigitsValue) + 'H';
}

std::optional<Duration> DecodeTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t amount = 0;
  const char* digits_end = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(text.data(), digits_end, amount);
  if (error != std::errc() || end != digits_end || amount < 0) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (unit.letter != text.back()) continue;
    if (amount > Duration::max().count() / unit.nanoseconds) return Duration::max();
    return Duration(amount * unit.nanoseconds);
  }
  return std::nullopt;
}

}  // namespace multigres::rpc
