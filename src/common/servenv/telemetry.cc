#include "common/servenv/telemetry.h"

#include <charconv>
#include <vector>

namespace multigres::servenv {

namespace {

using Environment = std::function<const char*(const char*)>;

std::string Value(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> Exporters(const Environment& environment, const char* name) {
  std::vector<std::string> exporters;
  const std::string text = Value(environment, name);
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    if (!item.empty() && item != "none") exporters.emplace_back(item);
  }
  return exporters;
}

template <class T>
Result<> ReadNumber(const Environment& environment, const char* name, T& field) {
  const std::string text = Value(environment, name);
  if (text.empty()) return {};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), field);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return Fail(Code::kInvalidArgument, "invalid value '" + text + "' for environment variable " + name);
}

Error NotBuiltIn(const char* name, const std::string& exporter, std::string_view choices) {
  return Error(Code::kInvalidArgument,
               std::string(name) + "=" + exporter + ": this exporter is not built in; use " + std::string(choices));
}

}  // namespace

Result<TelemetryOptions> ReadTelemetry(const Environment& environment, std::string service_name) {
  TelemetryOptions options{.service_name = Value(environment, "OTEL_SERVICE_NAME")};
  if (options.service_name.empty()) options.service_name = std::move(service_name);
  for (const char* name : {"OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER"}) {
    for (const std::string& exporter : Exporters(environment, name)) {
      return std::unexpected(NotBuiltIn(name, exporter, "none"));
    }
  }
  for (const std::string& exporter : Exporters(environment, "OTEL_METRICS_EXPORTER")) {
    if (exporter == "prometheus") {
      options.prometheus = true;
    } else if (exporter == "console") {
      options.console_metrics = true;
    } else {
      return std::unexpected(NotBuiltIn("OTEL_METRICS_EXPORTER", exporter, "none, prometheus or console"));
    }
  }
  const std::string host = Value(environment, "OTEL_EXPORTER_PROMETHEUS_HOST");
  if (!host.empty()) options.prometheus_host = host;
  auto port = ReadNumber(environment, "OTEL_EXPORTER_PROMETHEUS_PORT", options.prometheus_port);
  if (!port) return std::unexpected(std::move(port.error()));
  std::int64_t interval_ms = 60'000;
  auto interval = ReadNumber(environment, "OTEL_METRIC_EXPORT_INTERVAL", interval_ms);
  if (!interval) return std::unexpected(std::move(interval.error()));
  if (interval_ms <= 0) {
    return Fail(Code::kInvalidArgument, "environment variable OTEL_METRIC_EXPORT_INTERVAL must be positive");
  }
  options.console_interval = std::chrono::milliseconds(interval_ms);
  return options;
}

}  // namespace multigres::servenv
