#include "services/multipooler/connpool/settings_label.h"

#include <gtest/gtest.h>

#include <map>

namespace multigres::pooler::connpool {
namespace {

using Map = std::map<std::string, std::string>;

TEST(SettingsLabel, NamesFoldToLowerCaseAndOrderDoesNotMatter) {
  LabelCache cache(8);
  const auto a = cache.Intern(Map{{"TimeZone", "UTC"}, {"work_mem", "1MB"}});
  const auto b =
      cache.Intern(std::vector<std::pair<std::string, std::string>>{{"work_mem", "1MB"}, {"timezone", "UTC"}});
  EXPECT_EQ(a.get(), b.get());
  EXPECT_EQ(a->apply_sql(),
            "SELECT pg_catalog.set_config('timezone', 'UTC', false), pg_catalog.set_config('work_mem', '1MB', false)");
}

TEST(SettingsLabel, OfNamesThatDifferInCaseTheLastOneCounts) {
  LabelCache cache(8);
  const auto label =
      cache.Intern(std::vector<std::pair<std::string, std::string>>{{"Work_Mem", "1MB"}, {"work_mem", "2MB"}});
  ASSERT_EQ(label->entries().size(), 1u);
  EXPECT_EQ(label->entries()[0].second, "2MB");
}

// A key written as name=value;name=value would make these two one.
TEST(SettingsLabel, ValuesThatLookLikeOtherSettingsStayApart) {
  LabelCache cache(8);
  const auto one = cache.Intern(Map{{"a", "1;b=2"}});
  const auto two = cache.Intern(Map{{"a", "1"}, {"b", "2"}});
  EXPECT_NE(one->key(), two->key());
  EXPECT_NE(cache.Intern(Map{{"a", "1"}, {"b1", ":c"}})->key(), cache.Intern(Map{{"a", "11:b1"}, {"b", ":c"}})->key());
}

TEST(SettingsLabel, TheApplicationNameDoesNotSplitThePool) {
  LabelCache cache(8);
  EXPECT_EQ(cache.Intern(Map{{"Application_Name", "psql"}}).get(), cache.Intern(Map{}).get());
}

TEST(SettingsLabel, TheSessionUserIsSetBeforeTheRoleAndBothAreRepeated) {
  LabelCache cache(8);
  const auto label = cache.Intern(Map{{"role", "app"}, {"session_authorization", "bob"}, {"work_mem", "1MB"}});
  EXPECT_EQ(label->identity_sql(), "SET SESSION AUTHORIZATION 'bob'; SET ROLE 'app'");
  EXPECT_EQ(label->apply_sql(),
            "SELECT pg_catalog.set_config('work_mem', '1MB', false); SET SESSION AUTHORIZATION 'bob'; SET ROLE 'app'");
  EXPECT_EQ(cache.Intern(Map{{"role", "none"}})->apply_sql(), "");
}

TEST(LabelCache, ForgetsTheLeastRecentlyUsed) {
  LabelCache cache(2);
  const auto a = cache.Intern(Map{{"a", "1"}});
  cache.Intern(Map{{"b", "1"}});
  EXPECT_EQ(cache.Intern(Map{{"a", "1"}}).get(), a.get());
  cache.Intern(Map{{"c", "1"}});
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Intern(Map{{"a", "1"}}).get(), a.get());
}

}  // namespace
}  // namespace multigres::pooler::connpool
