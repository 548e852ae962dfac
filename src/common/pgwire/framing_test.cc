#include "common/pgwire/framing.h"

#include <gtest/gtest.h>

#include "common/pgwire/backend.h"
#include "common/pgwire/frontend.h"
#include "common/pgwire/startup.h"

namespace multigres::pgwire {
namespace {

using std::string_view_literals::operator""sv;

TEST(Framing, AFrameIsThereOnlyWhole) {
  WireWriter out;
  WriteQuery(out, "SELECT 1");
  for (std::size_t size = 0; size < out.size(); ++size) {
    const auto frame = PeekFrame(out.view().substr(0, size));
    ASSERT_TRUE(frame);
    EXPECT_FALSE(*frame) << size;
  }
  const auto frame = PeekFrame(out.view());
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->type, 'Q');
  EXPECT_EQ((*frame)->body, "SELECT 1\0"sv);
}

TEST(Framing, LengthsOutsideTheLimitsAreRefused) {
  EXPECT_FALSE(PeekHeader("Q\0\0\0\3"sv));
  EXPECT_FALSE(PeekHeader("Q\xff\xff\xff\xff"sv));
  EXPECT_FALSE(PeekHeader("Q\x40\x00\x00\x03"sv));
  EXPECT_TRUE(PeekHeader("Q\x40\x00\x00\x02"sv));  // kMaxBody
  EXPECT_FALSE(PeekHeader("Q\0\0\0\x0f"sv, 10));
  EXPECT_TRUE(PeekHeader("Q\0\0\0\x0e"sv, 10));
  EXPECT_EQ(PeekHeader("Q\0\0\0\3"sv).error().sqlstate(), "08P01");
}

TEST(Framing, FrontendLimitsAreThoseOfPostgres) {
  EXPECT_EQ(MaxFrontendBody('Q'), kMaxBody);
  EXPECT_EQ(MaxFrontendBody('S'), 10000u);
  EXPECT_EQ(MaxFrontendBody('z'), std::nullopt);
}

TEST(Framing, StartupPacketLimits) {
  EXPECT_FALSE(PeekStartupPacket("\0\0\0\7"sv));
  EXPECT_FALSE(PeekStartupPacket("\0\0\x27\x11"sv));
  const auto incomplete = PeekStartupPacket("\0\0\x27\x10"sv);
  ASSERT_TRUE(incomplete);
  EXPECT_FALSE(*incomplete);
  EXPECT_EQ(PeekStartupPacket("\xff\xff\xff\xff"sv).error().message(), "invalid length of startup packet");
}

TEST(Framing, ARunHasWholeFramesOfOneTypeWithinTheLimit) {
  WireWriter out;
  const std::optional<std::string_view> columns[] = {"0123456789"};
  for (int i = 0; i < 3; ++i) WriteDataRow(out, columns);
  const std::size_t row = out.size() / 3;
  WriteCommandComplete(out, "SELECT 3");
  EXPECT_EQ(MeasureRun(out.view(), 'D', 1000).frames, 3u);
  EXPECT_EQ(MeasureRun(out.view(), 'D', 1000).bytes, 3 * row);
  EXPECT_EQ(MeasureRun(out.view(), 'D', 2 * row + 1).frames, 2u);
  EXPECT_EQ(MeasureRun(out.view(), 'D', 1).frames, 1u);
  EXPECT_EQ(MeasureRun(out.view().substr(0, 2 * row - 1), 'D', 1000).frames, 1u);
  EXPECT_EQ(MeasureRun(out.view().substr(3 * row), 'D', 1000).frames, 0u);
  EXPECT_EQ(MeasureRun("", 'D', 1000).frames, 0u);
  EXPECT_EQ(MeasureRun("D\0\0\0\0"sv, 'D', 1000).frames, 0u);
}

TEST(ByteBuffer, KeepsContentWhileItGrowsAndIsConsumed) {
  ByteBuffer buffer;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string piece(static_cast<std::size_t>(i % 97), static_cast<char>('a' + i % 26));
    buffer.Append(piece);
    expected += piece;
    const std::size_t gone = std::min<std::size_t>(expected.size(), static_cast<std::size_t>(i % 89));
    buffer.Consume(gone);
    expected.erase(0, gone);
    ASSERT_EQ(buffer.view(), expected);
  }
  EXPECT_LT(buffer.capacity(), std::size_t{1} << 20);
  buffer.Release();
  EXPECT_EQ(buffer.capacity(), 0u);
  EXPECT_TRUE(buffer.view().empty());
}

TEST(ByteBuffer, MovesItsMemory) {
  ByteBuffer first;
  first.Append("hello");
  ByteBuffer second(std::move(first));
  EXPECT_EQ(second.view(), "hello");
  ByteBuffer third;
  third = std::move(second);
  EXPECT_EQ(third.view(), "hello");
}

TEST(WireWriter, RewindTakesAnUnfinishedMessageBack) {
  WireWriter out;
  WriteSync(out);
  const auto before = out.size();
  out.Begin('D');
  out.Int16(3);
  out.Rewind(before);
  EXPECT_EQ(out.view(), "S\0\0\0\4"sv);
}

TEST(WireWriter, ANulEndsAString) {
  WireWriter out;
  out.CString("a\0b"sv);
  EXPECT_EQ(out.view(), "a\0"sv);
}

}  // namespace
}  // namespace multigres::pgwire
