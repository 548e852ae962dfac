#include "services/multiorch/config.h"

#include <gtest/gtest.h>

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;

Config Valid() {
  Config config;
  config.cell = "zone1";
  return config;
}

TEST(Config, RefusesWhatMakesNoSenseAndNamesTheFlag) {
  const struct {
    const char* names;
    std::function<void(Config&)> spoil;
  } cases[] = {
      {"--cell", [](Config& c) { c.cell = ""; }},
      {"--recovery-cycle-interval", [](Config& c) { c.engine.cycle_interval = 0s; }},
      {"--pooler-health-check-interval", [](Config& c) { c.engine.thresholds.report_interval = 0s; }},
      {"--failover-stagger", [](Config& c) { c.engine.graces.stagger = -1ms; }},
      {"--leader-failover-grace-period-base", [](Config& c) { c.engine.graces.base = -1s; }},
      {"--leader-failover-grace-period-max-jitter", [](Config& c) { c.engine.graces.max_jitter = -1s; }},
      {"--leader-unheard-threshold", [](Config& c) { c.engine.thresholds.unheard = 0s; }},
      {"--leader-stall-threshold", [](Config& c) { c.engine.thresholds.stall = 0s; }},
      {"--leader-stall-threshold", [](Config& c) { c.engine.thresholds.stall = 399ms; }},
      {"--leader-stall-threshold", [](Config& c) { c.engine.thresholds.report_interval = 5s; }},
      {"--leader-stuck-threshold", [](Config& c) { c.engine.thresholds.stuck = -5s; }},
      {"--leader-postgres-response-threshold", [](Config& c) { c.engine.thresholds.leader_response = 0s; }},
      {"--leader-pooler-grace", [](Config& c) { c.engine.thresholds.leader_pooler = -3s; }},
      {"--verify-replication-timeout", [](Config& c) { c.verify_replication_timeout = 0s; }},
  };
  for (const auto& c : cases) {
    Config config = Valid();
    c.spoil(config);
    auto valid = Validate(config);
    ASSERT_FALSE(valid) << c.names;
    EXPECT_EQ(valid.error().code(), Code::kInvalidArgument) << c.names;
    EXPECT_NE(valid.error().message().find(c.names), std::string::npos) << valid.error().message();
  }
}

TEST(Config, AcceptsTheDefaultsAndNoGraceAtAll) {
  Config config = Valid();
  EXPECT_TRUE(Validate(config));
  config.engine.graces = {.stagger = 0s, .base = 0s, .max_jitter = 0s};
  config.engine.thresholds.leader_pooler = 0s;
  EXPECT_TRUE(Validate(config));
}

}  // namespace
}  // namespace multigres::orch
