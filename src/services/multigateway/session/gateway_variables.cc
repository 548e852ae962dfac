#include "services/multigateway/session/gateway_variables.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace multigres::gateway::session {
namespace {

struct Unit {
  std::string_view name;
  double milliseconds;
};
constexpr Unit kUnits[] = {{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};

std::string_view TrimLeft(std::string_view text) {
  auto start = text.find_first_not_of(" \t\n\r\f\v");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

std::string_view TrimRight(std::string_view text) {
  auto end = text.find_last_not_of(" \t\n\r\f\v");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

std::unexpected<Error> Invalid(GatewayVariable variable, std::string_view text, std::string hint) {
  PgDiagnostic diagnostic{
      .severity = "ERROR",
      .code = "22023",
      .message = fmt::format("invalid value for parameter \"{}\": \"{}\"", GatewayVariableName(variable), text),
      .hint = std::move(hint)};
  return std::unexpected(Error::FromDiagnostic(std::move(diagnostic), Code::kInvalidArgument));
}

}  // namespace

std::optional<GatewayVariable> FindGatewayVariable(std::string_view name) {
  if (name == "statement_timeout") return GatewayVariable::kStatementTimeout;
  if (name == "idle_session_timeout") return GatewayVariable::kIdleSessionTimeout;
  return std::nullopt;
}

std::string_view GatewayVariableName(GatewayVariable variable) {
  return variable == GatewayVariable::kStatementTimeout ? "statement_timeout" : "idle_session_timeout";
}

Result<std::int32_t> ParseMilliseconds(GatewayVariable variable, std::string_view text) {
  std::string_view rest = TrimRight(TrimLeft(text));
  bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  double number = 0;
  const char* end = nullptr;
  if (rest.starts_with("0x") || rest.starts_with("0X")) {
    std::uint64_t hex = 0;
    auto [stop, error] = std::from_chars(rest.data() + 2, rest.data() + rest.size(), hex, 16);
    if (error != std::errc() || stop == rest.data() + 2) return Invalid(variable, text, "");
    number = static_cast<double>(hex);
    end = stop;
  } else {
    if (rest.empty() || (rest[0] != '.' && (rest[0] < '0' || rest[0] > '9'))) return Invalid(variable, text, "");
    auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error == std::errc::result_out_of_range) number = std::numeric_limits<double>::infinity();
    if (error == std::errc::invalid_argument) return Invalid(variable, text, "");
    end = stop;
  }
  if (negative) number = -number;
  std::string_view unit = TrimLeft(rest.substr(static_cast<std::size_t>(end - rest.data())));
  if (!unit.empty()) {
    const Unit* found = nullptr;
    for (const Unit& candidate : kUnits) {
      if (candidate.name == unit) found = &candidate;
    }
    if (found == nullptr) {
      return Invalid(variable, text,
                     "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".");
    }
    number *= found->milliseconds;
  }
  double rounded = std::nearbyint(number);
  if (!(rounded >= 0 && rounded <= std::numeric_limits<std::int32_t>::max())) {
    return Fail(Code::kInvalidArgument, "22023",
                fmt::format("{:.15g} ms is outside the valid range for parameter \"{}\" (0 ms .. 2147483647 ms)",
                            rounded, GatewayVariableName(variable)));
  }
  return static_cast<std::int32_t>(rounded);
}

std::string FormatMilliseconds(std::int32_t milliseconds) {
  if (milliseconds == 0) return "0";
  struct Step {
    std::int32_t milliseconds;
    const char* unit;
  };
  static constexpr Step kSteps[] = {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "min"}, {1000, "s"}};
  for (const Step& step : kSteps) {
    if (milliseconds % step.milliseconds == 0) return fmt::format("{}{}", milliseconds / step.milliseconds, step.unit);
  }
  return fmt::format("{}ms", milliseconds);
}

std::int32_t GatewayVariables::Get(GatewayVariable variable) const {
  const Value& value = values_[static_cast<std::size_t>(variable)];
  return value.local_ms.value_or(value.session_ms.value_or(value.default_ms));
}

void GatewayVariables::Set(GatewayVariable variable, std::int32_t milliseconds) {
  At(variable).session_ms = milliseconds;
  At(variable).local_ms.reset();
}

void GatewayVariables::SetLocal(GatewayVariable variable, std::int32_t milliseconds) {
  At(variable).local_ms = milliseconds;
}

void GatewayVariables::Reset(GatewayVariable variable) {
  At(variable).session_ms.reset();
  At(variable).local_ms.reset();
}

void GatewayVariables::ResetAll() {
  for (std::size_t i = 0; i < kGatewayVariableCount; i++) Reset(static_cast<GatewayVariable>(i));
}

void GatewayVariables::DropLocals() {
  for (Value& value : values_) value.local_ms.reset();
}

}  // namespace multigres::gateway::session
