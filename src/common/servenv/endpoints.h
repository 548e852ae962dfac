// The HTTP paths that every service serves.
#pragma once

#include <functional>
#include <string>

#include "common/servenv/flags.h"
#include "common/servenv/program.h"
#include "common/servenv/status_page.h"
#include "tools/http/router.h"
#include "tools/metrics/metrics.h"

namespace multigres::servenv {

// Everything here must outlive the router's server.
struct EndpointSources {
  ProgramInfo info;
  const FlagSet& flags;
  const StatusPage& status_page;
  const Metrics& metrics;
  bool pprof_http = true;
  std::function<Awaitable<Result<>>()> check_ready;
};

// "/", /live, /ready, /config, /version, /metrics, /css/, /favicon.ico and /debug/pprof/.
void RegisterEndpoints(http::Router& router, EndpointSources sources);

// What /config shows.
std::string ConfigJson(const FlagSet& flags);
std::string ConfigHtml(const FlagSet& flags, std::string_view title);

}  // namespace multigres::servenv
