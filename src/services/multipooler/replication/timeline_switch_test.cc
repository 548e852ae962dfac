#include "services/multipooler/replication/timeline_switch.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tools/fs/file.h"

namespace multigres::pooler::replication {
namespace {

constexpr std::uint64_t kSegment = 64 * 1024;  // small, and a power of two
constexpr std::uint64_t kPage = 8192;

// pg_wal with segments of which only page addresses and one record are real.
class WalFolder {
 public:
  WalFolder() { EXPECT_TRUE(fs::MakeDirectories(dir.path() + "/pg_wal")); }
  std::string Path(const std::string& name) const { return dir.path() + "/pg_wal/" + name; }

  void Put(const std::string& name, std::string_view content) { EXPECT_TRUE(fs::WriteFileAtomic(Path(name), content)); }
  bool Has(const std::string& name) const { return fs::Exists(Path(name)); }
  bool Clean() const { return RemoveUnfinishedSwitches(dir.path()).has_value(); }

  fs::TempDir dir = *fs::TempDir::Create("switch");
};

class Segment {
 public:
  // Written up to `end`, all of it in this segment.
  Segment(std::uint64_t begin, std::uint64_t end) : begin_(begin), bytes_(kSegment, '\0') {
    for (std::uint64_t page = begin; page < end; page += kPage) Put<std::uint64_t>(page + 8, page);
  }
  Segment& Record(std::uint64_t at, std::uint32_t length, std::uint64_t previous) {
    Put(at, length);
    Put(at + 8, previous);
    return *this;
  }
  template <class T>
  void Put(std::uint64_t at, T value) {
    std::memcpy(bytes_.data() + (at - begin_), &value, sizeof value);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::uint64_t begin_;
  std::string bytes_;
};

// The segment 0/30000 to 0/40000 is the fourth; timeline 3 branches off in it.
constexpr std::uint64_t kBegin = 3 * kSegment;
constexpr std::uint64_t kBranch = kBegin + 3 * kPage + 0x100;
const std::string kHistory = "1\t0/18000\tbefore\n2\t0/36100\tno recovery target specified\n";
const std::string kOld = "000000020000000000000003";
const std::string kNew = "000000030000000000000003";

TEST(TimelineSwitch, ASegmentThatBreaksOffBeforeTheBranchPointGoes) {
  const struct {
    const char* name;
    Segment segment;
    bool stays;
  } cases[] = {
      {"nothing but zeros", Segment(kBegin, kBegin), false},
      {"ends pages before", Segment(kBegin, kBegin + 2 * kPage), false},
      {"ends on the page", Segment(kBegin, kBranch), false},
      {"a recycled segment, ends on the page", Segment(kBegin, kBranch).Record(kBranch, 60, kBranch + 0x5000), false},
      {"a recycled segment's page",
       [] {
         Segment segment(kBegin, kBranch);
         segment.Record(kBranch, 60, kBranch - 0x40);
         segment.Put<std::uint64_t>(kBegin + 3 * kPage + 8, kBegin - 20 * kSegment);
         return segment;
       }(),
       false},
      {"has the first record of its own", Segment(kBegin, kBranch).Record(kBranch, 42, kBranch - 0x40), true},
      {"has more", Segment(kBegin, kBegin + kSegment).Record(kBranch, 42, kBranch - 0x40), true},
  };
  for (const auto& c : cases) {
    WalFolder wal;
    wal.Put("00000002.history", "1\t0/18000\tbefore\n");
    wal.Put("00000003.history", kHistory);
    wal.Put(kOld, Segment(kBegin, kBranch).bytes());
    wal.Put(kNew, c.segment.bytes());
    ASSERT_TRUE(wal.Clean());
    EXPECT_EQ(wal.Has(kNew), c.stays) << c.name;
    EXPECT_TRUE(wal.Has(kOld)) << c.name;
  }
}

TEST(TimelineSwitch, ABranchPointAtTheStartOfAPageHasItsRecordBehindThePagesHeader) {
  for (const std::uint64_t branch : {kBegin + 2 * kPage, kBegin}) {
    const std::uint64_t header = branch == kBegin ? 40 : 24;
    for (const bool written : {false, true}) {
      WalFolder wal;
      wal.Put("00000003.history", fmt::format("2\t0/{:X}\tx\n", branch));
      Segment segment(kBegin, branch + 1);
      if (written) segment.Record(branch + header, 42, branch - 0x40);
      wal.Put(kNew, segment.bytes());
      ASSERT_TRUE(wal.Clean());
      EXPECT_EQ(wal.Has(kNew), written) << branch;
    }
  }
}

TEST(TimelineSwitch, NothingElseIsTouched) {
  WalFolder wal;
  wal.Put("00000003.history", kHistory);
  wal.Put("00000004.history", "");  // a reserved id
  const std::string later = "000000030000000000000004";
  wal.Put(later, Segment(4 * kSegment, 4 * kSegment).bytes());
  ASSERT_TRUE(wal.Clean()) << "the segment itself isn't there";
  EXPECT_TRUE(wal.Has(later));
  EXPECT_TRUE(wal.Has("00000003.history"));
  EXPECT_TRUE(wal.Has("00000004.history"));
  EXPECT_FALSE(RemoveUnfinishedSwitches("/nonexistent"));
}

}  // namespace
}  // namespace multigres::pooler::replication
