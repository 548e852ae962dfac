// The functions whose calls matter to a pooler. Internal to sqlparse.
#pragma once

#include <cstdint>
#include <string_view>

namespace multigres::sqlparse {

enum class FunctionClass : std::uint8_t {
  kOrdinary,
  kForbidden,
  kAdvisoryLock,
  kAdvisoryUnlock,
  kSetSeed,
  kLogicalSlot,
  kPhysicalSlot,
  kSetConfig,
  kCurrentSetting,
};

// `schema` is empty for a bare name. Both as PostgreSQL folds identifiers.
FunctionClass ClassifyFunction(std::string_view schema, std::string_view name);

}  // namespace multigres::sqlparse
