// The variables that the gateway itself enforces and never forwards: statement_timeout and idle_session_timeout.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::gateway::session {

enum class GatewayVariable : std::uint8_t { kStatementTimeout, kIdleSessionTimeout };

inline constexpr std::size_t kGatewayVariableCount = 2;

// `name` must be folded.
std::optional<GatewayVariable> FindGatewayVariable(std::string_view name);
std::string_view GatewayVariableName(GatewayVariable variable);

// PostgreSQL's input form of a time in ms: an integer, or a number with us, ms, s, min, h or d, rounded to ms.
// 22023 `invalid value for parameter ...` and `... is outside the valid range for parameter ...`.
Result<std::int32_t> ParseMilliseconds(GatewayVariable variable, std::string_view text);
// PostgreSQL's output form: the largest unit that divides it ("30s", "1500ms"), and "0".
std::string FormatMilliseconds(std::int32_t milliseconds);

// A value of SET LOCAL beats one of SET, which beats the default.
class GatewayVariables {
 public:
  GatewayVariables() = default;
  // Milliseconds; 0 = off.
  GatewayVariables(std::int32_t statement_timeout_ms, std::int32_t idle_session_timeout_ms)
      : values_{Value{statement_timeout_ms, {}, {}}, Value{idle_session_timeout_ms, {}, {}}} {}

  std::int32_t Get(GatewayVariable variable) const;
  void Set(GatewayVariable variable, std::int32_t milliseconds);
  void SetLocal(GatewayVariable variable, std::int32_t milliseconds);
  void Reset(GatewayVariable variable);
  void ResetAll();
  void DropLocals();

 private:
  struct Value {
    std::int32_t default_ms = 0;
    std::optional<std::int32_t> session_ms;
    std::optional<std::int32_t> local_ms;
  };
  Value& At(GatewayVariable variable) { return values_[static_cast<std::size_t>(variable)]; }

  std::array<Value, kGatewayVariableCount> values_{};
};

}  // namespace multigres::gateway::session
