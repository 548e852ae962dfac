#include "common/consensus/member.h"

#include <gtest/gtest.h>

#include "common/consensus/testing.h"

namespace multigres::consensus {
namespace {

ID MakeId(std::string cell, std::string name) {
  ID id;
  id.set_cell(std::move(cell));
  id.set_name(std::move(name));
  return id;
}

TEST(Member, TextFormGoesBothWays) {
  EXPECT_EQ(MemberText(MakeId("zone1", "xk7p2bcd")), "zone1_xk7p2bcd");
  auto id = ParseMember("zone1_xk7p2bcd");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->cell(), "zone1");
  EXPECT_EQ(id->name(), "xk7p2bcd");
  EXPECT_EQ(CellOf("zone1_xk7p2bcd"), "zone1");
}

TEST(Member, MalformedTextIsRefused) {
  for (const char* text : {"", "zone1", "_name", "zone1_"}) EXPECT_FALSE(ParseMember(text)) << text;
}

TEST(Member, AmbiguousOrTooLongIdsAreRefused) {
  EXPECT_TRUE(CheckedMemberText(MakeId("zone1", "a")));
  EXPECT_FALSE(CheckedMemberText(MakeId("zone_1", "a")));
  EXPECT_FALSE(CheckedMemberText(MakeId("zone1", "a_b")));
  EXPECT_FALSE(CheckedMemberText(MakeId("", "a")));
  EXPECT_TRUE(CheckedMemberText(MakeId("zone1", std::string(57, 'a'))));
  EXPECT_FALSE(CheckedMemberText(MakeId("zone1", std::string(58, 'a'))));
}

TEST(MemberSet, CountsEachMemberOnce) {
  MemberSet set({"b_1", "a_1", "b_1", "a_2"});
  EXPECT_EQ(set.size(), 3u);
  EXPECT_EQ(set.CellCount(), 2u);
  EXPECT_EQ(set.Text(), "a_1, a_2, b_1");
  set.Insert("a_2");
  set.Erase("b_1");
  EXPECT_EQ(set.texts(), (std::vector<std::string>{"a_1", "a_2"}));
}

}  // namespace
}  // namespace multigres::consensus
