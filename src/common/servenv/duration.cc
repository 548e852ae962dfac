#include <cmath>
#include <limits>

#include "common/servenv/flags.h"

namespace multigres::servenv {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanoseconds;
};
// Longer names first where one begins like another.
constexpr std::array<Unit, 6> kUnits = {{{"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1},
                                         {"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000}}};

Error Invalid() {
  return Error(Code::kInvalidArgument, "not a duration such as 250ms, 5s or 1h30m");
}

// One "1.5h" off the front of `text`, in nanoseconds.
Result<long double> TakePart(std::string_view& text) {
  long double number = 0;
  long double place = 0;  // 0 before the point
  std::size_t digits = 0;
  while (!text.empty() && ((text[0] >= '0' && text[0] <= '9') || (text[0] == '.' && place == 0))) {
    if (text[0] == '.') {
      place = 1;
    } else {
      ++digits;
      number = number * 10 + (text[0] - '0');
      place *= 10;
    }
    text.remove_prefix(1);
  }
  if (digits == 0) return std::unexpected(Invalid());
  if (place > 0) number /= place;
  for (const Unit& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return number * static_cast<long double>(unit.nanoseconds);
  }
  return std::unexpected(Invalid());
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (text == "infinity") return Duration::max();
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::unexpected(Invalid());
  long double total = 0;
  while (!text.empty()) {
    auto part = TakePart(text);
    if (!part) return std::unexpected(std::move(part.error()));
    total += *part;
  }
  if (total > static_cast<long double>(std::numeric_limits<std::int64_t>::max())) {
    return Fail(Code::kInvalidArgument, "longer than 292 years");
  }
  const auto nanoseconds = static_cast<std::int64_t>(std::llroundl(total));
  return Duration(negative ? -nanoseconds : nanoseconds);
}

std::string FormatDuration(Duration duration) {
  if (duration == Duration::max()) return "infinity";
  if (duration == Duration::zero()) return "0s";
  std::string text = duration < Duration::zero() ? "-" : "";
  auto left = static_cast<std::uint64_t>(duration.count());
  if (duration < Duration::zero()) left = 0 - left;
  static constexpr std::array<Unit, 6> kDescending = {{{"h", 3'600'000'000'000},
                                                       {"m", 60'000'000'000},
                                                       {"s", 1'000'000'000},
                                                       {"ms", 1'000'000},
                                                       {"us", 1'000},
                                                       {"ns", 1}}};
  for (const Unit& unit : kDescending) {
    const auto size = static_cast<std::uint64_t>(unit.nanoseconds);
    if (left < size) continue;
    text.append(std::to_string(left / size)).append(unit.name);
    left %= size;
  }
  return text;
}

}  // namespace multigres::servenv
