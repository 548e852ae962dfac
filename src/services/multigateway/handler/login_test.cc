#include "services/multigateway/handler/login.h"

#include <gtest/gtest.h>

#include "multipoolerservice.pb.h"

namespace multigres::gateway::handler {
namespace {

multipoolerservice::GetAuthCredentialsResponse ServerReports() {
  multipoolerservice::GetAuthCredentialsResponse credentials;
  auto& parameters = *credentials.mutable_parameter_status();
  parameters["DateStyle"] = "ISO, DMY";
  parameters["TimeZone"] = "Europe/Berlin";
  parameters["client_encoding"] = "UTF8";
  parameters["application_name"] = "";
  parameters["default_transaction_read_only"] = "off";
  parameters["server_version"] = "15.20";
  return credentials;
}

TEST(Login, ReportsTheServersOwnValuesWithTheClientsOverrides) {
  listener::StartupRequest request;
  request.settings = {{"application_name", "psql"},   {"TIMEZONE", "UTC"}, {"datestyle", "sql"},
                      {"client_encoding", "latin-1"}, {"work_mem", "1MB"}, {"default_transaction_read_only", "1"}};
  auto point = MakeStartingPoint(request, ServerReports(), 0, false);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->reported["application_name"], "psql");
  EXPECT_EQ(point->reported["TimeZone"], "UTC");
  EXPECT_EQ(point->reported["DateStyle"], "SQL, DMY");
  EXPECT_EQ(point->reported["client_encoding"], "LATIN1");
  EXPECT_EQ(point->reported["default_transaction_read_only"], "on");
  EXPECT_EQ(point->reported["server_version"], "15.20");
  EXPECT_EQ(point->reported["in_hot_standby"], "off");
  EXPECT_FALSE(point->reported.contains("work_mem"));
  ASSERT_NE(point->settings->Find("work_mem"), nullptr);
  EXPECT_EQ(*point->settings->Find("work_mem"), "1MB");
}

TEST(Login, TimeoutsStayAtTheGateway) {
  listener::StartupRequest request;
  request.settings = {{"statement_timeout", "2s"}, {"idle_session_timeout", "nonsense"}};
  auto point = MakeStartingPoint(request, ServerReports(), 5000, true);
  ASSERT_TRUE(point);
  EXPECT_EQ(point->variables.Get(session::GatewayVariable::kStatementTimeout), 2000);
  EXPECT_EQ(point->variables.Get(session::GatewayVariable::kIdleSessionTimeout), 0);
  EXPECT_TRUE(point->settings->empty());
  EXPECT_EQ(point->ignored, std::vector<std::string>{"idle_session_timeout"});
  EXPECT_EQ(point->reported["in_hot_standby"], "on");
}

TEST(Login, SettingsThatAPoolCannotKeepAreRefused) {
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"Synchronous_Commit", "off"},
                                    {"search_path", "pg_temp, public"},
                                    {"SEARCH_PATH", "\"$user\",PG_TEMP_3"}}) {
    listener::StartupRequest request;
    request.settings = {{name, value}};
    auto point = MakeStartingPoint(request, ServerReports(), 0, false);
    ASSERT_FALSE(point) << name;
    EXPECT_EQ(point.error().sqlstate(), "0A000");
  }
}

}  // namespace
}  // namespace multigres::gateway::handler
