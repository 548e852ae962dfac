#include "common/consensus/lsn.h"

#include <gtest/gtest.h>

namespace multigres::consensus {
namespace {

TEST(Lsn, ParsesAndPrintsAsPostgresDoes) {
  const struct {
    const char* text;
    Lsn lsn;
  } cases[] = {{"0/0", 0}, {"16/B374D848", 0x16B374D848}, {"FFFFFFFF/FFFFFFFF", ~Lsn{0}}, {"1/A", 0x10000000A}};
  for (const auto& c : cases) {
    EXPECT_EQ(ParseLsn(c.text).value_or(1), c.lsn) << c.text;
    EXPECT_EQ(LsnText(c.lsn), c.text);
  }
  EXPECT_EQ(ParseLsn("16/b374d848").value_or(0), Lsn{0x16B374D848});
}

TEST(Lsn, GarbageIsRefusedAndOrdersLowest) {
  for (const char* text : {"", "/", "1/", "/1", "1", "0/123456789", "x/1", "1/0x1", "-1/0", "1/2/3", " 1/2", "+1/2"}) {
    EXPECT_FALSE(ParseLsn(text)) << text;
    EXPECT_LT(LsnOrLowest(text), LsnOrLowest("0/0")) << text;
  }
}

}  // namespace
}  // namespace multigres::consensus
