#include "tools/fs/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/result/check.h"

namespace multigres::fs {
namespace {

TempDir MakeFolder() {
  auto folder = TempDir::Create("file_test");
  CHECK(folder);
  return std::move(*folder);
}

mode_t ModeOf(const std::string& path) {
  struct stat info{};
  CHECK(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

class FileTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) { return folder_.path() + "/" + name; }
  TempDir folder_ = MakeFolder();
};

TEST_F(FileTest, AtomicWriteReplacesTheWholeFileAndSetsItsMode) {
  ASSERT_TRUE(WriteFileAtomic(Path("a"), "first, and longer"));
  ASSERT_TRUE(WriteFileAtomic(Path("a"), "second", 0600));
  EXPECT_EQ(*ReadFile(Path("a")), "second");
  EXPECT_EQ(ModeOf(Path("a")), 0600u);
  // No temporary file stays behind.
  EXPECT_EQ(ListDirectory(folder_.path())->size(), 1u);
}

TEST_F(FileTest, FailedAtomicWriteLeavesNothingBehind) {
  const auto missing = WriteFileAtomic(Path("no/such/folder/a"), "x");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_NE(missing.error().message().find("no/such/folder"), std::string::npos);
  ASSERT_TRUE(MakeDirectories(Path("folder")));
  EXPECT_FALSE(WriteFileAtomic(Path("folder"), "x"));
  EXPECT_EQ(*ListDirectory(folder_.path()), std::vector<std::string>{"folder"});
}

TEST_F(FileTest, ReadsBinaryAndLargeFiles) {
  std::string content(100'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i);
  ASSERT_TRUE(WriteFileAtomic(Path("big"), content));
  EXPECT_TRUE(*ReadFile(Path("big")) == content);
  EXPECT_EQ(ReadFile(Path("none")).error().code(), Code::kNotFound);
}

TEST_F(FileTest, ExclusiveCreationHappensOnce) {
  ASSERT_TRUE(CreateExclusive(Path("pid"), "1\n", 0640));
  EXPECT_EQ(ModeOf(Path("pid")), 0640u);
  const auto again = CreateExclusive(Path("pid"), "2\n");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::kAlreadyExists);
  EXPECT_EQ(*ReadFile(Path("pid")), "1\n");
  EXPECT_TRUE(*RemoveFile(Path("pid")));
  EXPECT_FALSE(*RemoveFile(Path("pid")));
}

TEST_F(FileTest, MakesNestedFoldersWithTheirMode) {
  ASSERT_TRUE(MakeDirectories(Path("a/b//c/"), 0700));
  EXPECT_EQ(ModeOf(Path("a")), 0700u);
  EXPECT_EQ(ModeOf(Path("a/b/c")), 0700u);
  EXPECT_TRUE(MakeDirectories(Path("a/b/c")));
  ASSERT_TRUE(WriteFileAtomic(Path("file"), ""));
  EXPECT_FALSE(MakeDirectories(Path("file/x")));
  EXPECT_FALSE(MakeDirectories(Path("file")));
}

TEST_F(FileTest, RemovesTreesButDoesNotFollowLinks) {
  ASSERT_TRUE(MakeDirectories(Path("keep")));
  ASSERT_TRUE(WriteFileAtomic(Path("keep/x"), "x"));
  ASSERT_TRUE(MakeDirectories(Path("tree/a/b")));
  ASSERT_TRUE(WriteFileAtomic(Path("tree/a/b/f"), "f"));
  ASSERT_EQ(::symlink(Path("keep").c_str(), Path("tree/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(Path("tree")));
  EXPECT_FALSE(Exists(Path("tree")));
  EXPECT_TRUE(Exists(Path("keep/x")));
  EXPECT_TRUE(RemoveTree(Path("tree")));
}

TEST_F(FileTest, LockIsHeldByOneAtATime) {
  {
    auto lock = LockFile::TryAcquire(Path("lock"));
    ASSERT_TRUE(lock);
    const auto second = LockFile::TryAcquire(Path("lock"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kFailedPrecondition);
  }
  EXPECT_TRUE(LockFile::TryAcquire(Path("lock")));
}

TEST_F(FileTest, TellsDiskSpace) {
  auto space = DiskSpaceOf(folder_.path());
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0u);
  EXPECT_LE(space->available_bytes, space->total_bytes);
}

TEST(TempDirTest, IsGoneWithItsContentWhenDestroyed) {
  std::string path;
  {
    TempDir folder = MakeFolder();
    path = folder.path();
    ASSERT_TRUE(MakeDirectories(path + "/x/y"));
  }
  EXPECT_FALSE(Exists(path));
}

}  // namespace
}  // namespace multigres::fs
