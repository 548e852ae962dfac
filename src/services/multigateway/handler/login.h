// What a session begins with, from the start-up packet and the role's credentials.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/multigateway/listener/startup.h"
#include "services/multigateway/session/session.h"
#include "tools/result/error.h"

namespace multipoolerservice {
class GetAuthCredentialsResponse;
}

namespace multigres::gateway::handler {

struct StartingPoint {
  session::SettingsPtr settings;
  session::GatewayVariables variables;
  // What PostgreSQL would report to this client at login.
  session::ReportedParameters::Map reported;
  std::vector<std::string> ignored;  // names whose value made no sense: to be logged
};

// `default_statement_timeout_ms`: of the gateway. 0A000 (FATAL) for a setting that isn't possible through a pool
// (synchronous_commit, a search_path that names pg_temp).
Result<StartingPoint> MakeStartingPoint(const listener::StartupRequest& request,
                                        const multipoolerservice::GetAuthCredentialsResponse& credentials,
                                        std::int32_t default_statement_timeout_ms, bool target_replica);

// A start-up value as PostgreSQL would report it back: `utf8` is UTF8, `iso` with the server's order is `ISO, MDY`.
// `server_value`: what it reports without the override.
std::string CanonicalReport(std::string_view folded_name, std::string_view value, std::string_view server_value);

}  // namespace multigres::gateway::handler
