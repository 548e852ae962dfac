#include "services/pgctld/server_config.h"

#include <gtest/gtest.h>

#include "services/pgctld/data_directory.h"

namespace multigres::pgctld {
namespace {

constexpr std::uint64_t kGb = std::uint64_t{1} << 30;

TEST(ServerConfig, WalBudgetFollowsTheVolumeWithinItsLimits) {
  EXPECT_EQ(WalBudgetFor(0).max_wal_size_mb, 64U);
  EXPECT_EQ(WalBudgetFor(0).min_wal_size_mb, 32U);
  EXPECT_EQ(WalBudgetFor(0).wal_keep_size_mb, 32U);
  EXPECT_EQ(WalBudgetFor(2 * kGb).max_wal_size_mb, 512U);
  EXPECT_EQ(WalBudgetFor(2 * kGb).min_wal_size_mb, 128U);
  EXPECT_EQ(WalBudgetFor(2 * kGb).wal_keep_size_mb, 256U);
  EXPECT_EQ(WalBudgetFor(1000 * kGb).max_wal_size_mb, 4096U);
  EXPECT_EQ(WalBudgetFor(1000 * kGb).wal_keep_size_mb, 1000U);
}

TEST(ServerConfig, HasTheFenceAndNeverRestartsAfterACrashByItself) {
  auto text = RenderServerConfig(PostgresOptions(), 8 * kGb);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find(R"(synchronous_standby_names = 'ANY 1 ("multigres-fence")')"), std::string::npos);
  EXPECT_NE(text->find("restart_after_crash = off"), std::string::npos);
  EXPECT_EQ(text->find("{{"), std::string::npos);
}

// By default a follower that is cut off believes to stream for a minute, and so does its leader. Less than twice the
// orchestrator's --leader-stuck-threshold (5 s), and a follower to which nothing comes would drop its connection
// instead of testifying to it.
TEST(ServerConfig, GivesUpReplicationConnectionsThatAreCutOffAfterTenSeconds) {
  auto text = RenderServerConfig(PostgresOptions(), 8 * kGb);
  ASSERT_TRUE(text);
  for (const char* setting : {"wal_receiver_timeout = 10s", "wal_sender_timeout = 10s"}) {
    EXPECT_NE(text->find(setting), std::string::npos) << setting;
  }
}

TEST(ServerConfig, HbaAllowsReplicationFromTheHostsGivenOnly) {
  PostgresOptions options;
  options.replication_hosts = {"10.0.0.0/8"};
  auto text = RenderHba(options);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("host    replication  all   10.0.0.0/8   scram-sha-256"), std::string::npos);
  EXPECT_EQ(text->find("trust"), std::string::npos);
  options.replication_hosts = {"10.0.0.0/8 trust\nhost"};
  EXPECT_FALSE(RenderHba(options));
}

TEST(ServerConfig, TemplatesRefuseUnknownNames) {
  EXPECT_EQ(*Render("a {{b}} c", {{"b", "x"}}), "a x c");
  EXPECT_FALSE(Render("a {{c}}", {{"b", "x"}}));
  EXPECT_FALSE(Render("a {{b", {{"b", "x"}}));
}

TEST(DataDirectory, FindsFieldsOfControlData) {
  const std::string output =
      "pg_control version number:            1300\nDatabase cluster state:               in production\n";
  EXPECT_EQ(ControlDataField(output, "Database cluster state"), "in production");
  EXPECT_EQ(ControlDataField(output, "Nothing"), "");
  EXPECT_FALSE(IsCleanState("in production"));
  EXPECT_TRUE(IsCleanState("shut down in recovery"));
}

TEST(DataDirectory, AForeignProcessWithThePidIsNoPostmaster) {
  EXPECT_FALSE(DataDirectory("/nonexistent").FindPostmaster());
  EXPECT_FALSE(DataDirectory("/nonexistent").RequireInitialized());
}

}  // namespace
}  // namespace multigres::pgctld
