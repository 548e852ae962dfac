// CHECK(condition) or CHECK(condition, message): a broken invariant of our own ends the process.
#pragma once

#include <source_location>
#include <string_view>

namespace multigres {

[[noreturn]] void CheckFailed(std::string_view condition, std::string_view message, const std::source_location& where);

}  // namespace multigres

#define CHECK(condition, ...)                                                                                   \
  do {                                                                                                          \
    if (!(condition)) [[unlikely]] {                                                                            \
      ::multigres::CheckFailed(#condition, ::std::string_view{__VA_ARGS__}, ::std::source_location::current()); \
    }                                                                                                           \
  } while (false)
