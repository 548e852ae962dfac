// What OTEL_* variables ask for, as far as it is built in.
#pragma once

#include <functional>
#include <string>

#include "tools/clock/clock.h"
#include "tools/result/error.h"

namespace multigres::servenv {

struct TelemetryOptions {
  std::string service_name;
  bool prometheus = false;  // a /metrics listener of its own
  std::string prometheus_host = "localhost";
  std::uint16_t prometheus_port = 9464;
  bool console_metrics = false;  // the metrics on stderr every `console_interval`
  Duration console_interval = std::chrono::seconds(60);
};

// Traces and logs: none only. Metrics: none, prometheus, console. Anything else is INVALID_ARGUMENT.
Result<TelemetryOptions> ReadTelemetry(const std::function<const char*(const char*)>& environment,
                                       std::string service_name);

}  // namespace multigres::servenv
