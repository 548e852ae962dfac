#include "tools/fs/disk.h"

#include <gtest/gtest.h>

#include "tools/fs/file.h"
#include "tools/fs/memory_disk.h"

namespace multigres::fs {
namespace {

// What the real disk and its twin both promise.
void ExpectKeepsFiles(Disk& disk, const std::string& folder) {
  const std::string path = folder + "/file";
  ASSERT_TRUE(disk.MakeDirectories(folder, 0700));
  EXPECT_FALSE(disk.Exists(path));
  ASSERT_FALSE(disk.Read(path));
  EXPECT_EQ(disk.Read(path).error().code(), Code::kNotFound);
  EXPECT_TRUE(disk.Remove(path));
  ASSERT_TRUE(disk.Write(path, "one", 0600));
  ASSERT_TRUE(disk.Write(path, "two", 0600));
  EXPECT_TRUE(disk.Exists(path));
  EXPECT_EQ(*disk.Read(path), "two");
  ASSERT_TRUE(disk.Remove(path));
  EXPECT_FALSE(disk.Exists(path));
}

TEST(Disk, TheLocalOneKeepsFiles) {
  auto folder = TempDir::Create("disk");
  ASSERT_TRUE(folder);
  LocalDisk disk;
  ExpectKeepsFiles(disk, folder->path() + "/below");
}

TEST(Disk, TheTwinKeepsFiles) {
  MemoryDisk disk;
  ExpectKeepsFiles(disk, "/below");
}

TEST(Disk, ACrashLosesWhatWasNotSynced) {
  MemoryDisk disk;
  ASSERT_TRUE(disk.Write("/f", "synced", 0600));
  disk.SetSyncs(false);
  ASSERT_TRUE(disk.Write("/f", "not synced", 0600));
  EXPECT_EQ(*disk.Read("/f"), "not synced");
  disk.Crash();
  EXPECT_EQ(*disk.Read("/f"), "synced");
}

TEST(Disk, AFullTwinKeepsWhatItHas) {
  MemoryDisk disk;
  ASSERT_TRUE(disk.Write("/f", "one", 0600));
  disk.SetFull(true);
  EXPECT_FALSE(disk.Write("/f", "two", 0600));
  EXPECT_EQ(*disk.Read("/f"), "one");
}

}  // namespace
}  // namespace multigres::fs
