// Text to a flag's field and back.
#pragma once

#include "common/servenv/flags.h"

namespace multigres::servenv {

// `values`: what was given, one entry per occurrence; the last one counts, except for lists, which take all (each split
// at commas). The error says what would have been valid, without the value.
Result<> SetValue(const FlagTarget& target, const std::vector<std::string>& values);
std::string ValueText(const FlagTarget& target);
std::string ValueJson(const FlagTarget& target);
// "string", "duration", ...; for --help.
std::string_view TypeName(const FlagTarget& target);
// What brings the field back to its present value through SetValue().
std::vector<std::string> SaveValue(const FlagTarget& target);

}  // namespace multigres::servenv
