#include "services/multipooler/connpool/prepared_names.h"

#include <gtest/gtest.h>

#include <array>

namespace multigres::pooler::connpool {
namespace {

TEST(StatementNames, EqualStatementsShareANameAndTypesTellThemApart) {
  StatementNames names(10);
  const std::array<std::uint32_t, 1> int4 = {23};
  const std::array<std::uint32_t, 1> int8 = {20};
  const std::string a = names.NameOf("SELECT $1", int4);
  EXPECT_EQ(names.NameOf("SELECT $1", int4), a);
  EXPECT_NE(names.NameOf("SELECT $1", int8), a);
  EXPECT_NE(names.NameOf("SELECT $1", {}), a);
  EXPECT_NE(names.NameOf("SELECT $1,23", {}), a);
}

TEST(StatementNames, AForgottenNameIsNeverGivenToAnother) {
  StatementNames names(1);
  const std::string a = names.NameOf("SELECT 1", {});
  const std::string b = names.NameOf("SELECT 2", {});
  EXPECT_NE(a, b);
  EXPECT_NE(names.NameOf("SELECT 1", {}), a);
  EXPECT_EQ(names.size(), 1u);
}

TEST(PreparedSet, GivesWhatFellOut) {
  PreparedSet set(2);
  EXPECT_EQ(set.Add("a"), std::nullopt);
  EXPECT_EQ(set.Add("b"), std::nullopt);
  EXPECT_TRUE(set.Touch("a"));
  EXPECT_EQ(set.Add("c"), "b");
  EXPECT_FALSE(set.Touch("b"));
  set.Remove("a");
  EXPECT_FALSE(set.Touch("a"));
  EXPECT_EQ(set.size(), 1u);
}

}  // namespace
}  // namespace multigres::pooler::connpool
