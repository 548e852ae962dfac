#include "services/multipooler/config.h"

#include <gtest/gtest.h>

#include <functional>

namespace multigres::pooler {
namespace {

using namespace std::chrono_literals;

Config Valid() {
  Config config;
  config.cell = "zone1";
  config.service_id = "a";
  config.table_group = "default";
  config.shard = "0-inf";
  config.pooler_dir = "/pooler";
  config.admin_password = "secret";
  return config;
}

struct Case {
  const char* names;  // what the error must
  std::function<void(Config&)> spoil;
};

TEST(Config, RefusesWhatMakesNoSenseAndNamesTheFlag) {
  const Case cases[] = {
      {"--cell", [](Config& c) { c.cell = ""; }},
      {"shard", [](Config& c) { c.shard = "0-80"; }},
      {"--service-id", [](Config& c) { c.service_id = "a_b"; }},
      {"--service-id", [](Config& c) { c.service_id = std::string(60, 'a'); }},
      {"--connpool-global-capacity", [](Config& c) { c.global_capacity = 0; }},
      {"--connpool-admin-capacity", [](Config& c) { c.admin_capacity = 0; }},
      {"--heartbeat-interval-milliseconds", [](Config& c) { c.heartbeat_interval_ms = 0; }},
      {"--heartbeat-interval-milliseconds", [](Config& c) { c.heartbeat_interval_ms = -200; }},
      {"--postgres-probe-interval", [](Config& c) { c.probe_interval = 0ms; }},
      {"--postgres-unready-timeout", [](Config& c) { c.unready_timeout = 399ms; }},
      {"--postgres-unready-timeout", [](Config& c) { c.probe_interval = 2s; }},
      {"--postgres-monitor-interval", [](Config& c) { c.monitor_interval = 0s; }},
      {"--postgres-unrecoverable-timeout", [](Config& c) { c.unrecoverable_timeout = -1s; }},
      {"--postgres-unrecoverable-min-attempts", [](Config& c) { c.unrecoverable_min_attempts = 1; }},
      {"--postgres-unrecoverable-min-attempts", [](Config& c) { c.unrecoverable_min_attempts = 10; }},
  };
  for (const Case& c : cases) {
    Config config = Valid();
    c.spoil(config);
    auto complete = Complete(config);
    ASSERT_FALSE(complete) << c.names;
    EXPECT_EQ(complete.error().code(), Code::kInvalidArgument) << c.names;
    EXPECT_NE(complete.error().message().find(c.names), std::string::npos) << complete.error().message();
  }
}

// Up to the search for PostgreSQL's programs, which this folder hasn't.
TEST(Config, AcceptsTheDefaultsAndTheLeastValues) {
  for (const auto& spoil : std::vector<std::function<void(Config&)>>{
           [](Config&) {},
           [](Config& c) {
             c.heartbeat_interval_ms = 10;
             c.probe_interval = 10ms;
             c.unready_timeout = 20ms;
             c.unrecoverable_min_attempts = 2;
           },
       }) {
    Config config = Valid();
    config.pg_bin_dir = "/nonexistent";
    spoil(config);
    auto complete = Complete(config);
    ASSERT_FALSE(complete);
    EXPECT_NE(complete.error().message().find("/nonexistent"), std::string::npos) << complete.error().message();
    EXPECT_EQ(config.data_dir, "/pooler/pg_data");
  }
}

}  // namespace
}  // namespace multigres::pooler
