#include "services/multipooler/consensus/promise_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/consensus/rule_number.h"
#include "tools/fs/file.h"

namespace multigres::pooler::consensus {
namespace {

using multigres::consensus::MakeRuleNumber;

struct Folder {
  fs::TempDir dir = *fs::TempDir::Create("promises");
  fs::LocalDisk disk;
  bool has_data = false;
  std::string file = dir.path() + "/consensus_promises.json";

  Result<std::unique_ptr<PromiseStore>> Open() { return PromiseStore::Open(disk, dir.path(), has_data); }
  void Initialise() { has_data = true; }
};

::clustermetadata::TermRevocation Revocation(std::int64_t term) {
  ::clustermetadata::TermRevocation revocation;
  revocation.set_revoked_below_term(term);
  revocation.mutable_accepted_coordinator_id()->set_cell("zone1");
  revocation.mutable_accepted_coordinator_id()->set_name("orch");
  revocation.mutable_coordinator_initiated_at()->set_seconds(1700000000);
  revocation.mutable_coordinator_initiated_at()->set_nanos(123456789);
  *revocation.mutable_outgoing_rule() = MakeRuleNumber(term - 1, 3);
  return revocation;
}

TEST(PromiseStore, SurvivesAReopenInEveryField) {
  Folder folder;
  auto store = folder.Open();
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->revocation(), nullptr);
  ASSERT_TRUE((*store)->StoreRevocation(Revocation(7)));
  ::clustermetadata::LsnPosition floor;
  floor.set_lsn("0/3000060");
  *floor.mutable_position()->mutable_decision() = MakeRuleNumber(6, 1);
  ASSERT_TRUE((*store)->StoreRecruitFloor(floor));
  ASSERT_TRUE((*store)->StoreFollowed(MakeRuleNumber(6, 1)));
  folder.Initialise();
  auto again = folder.Open();
  ASSERT_TRUE(again);
  ASSERT_NE((*again)->revocation(), nullptr);
  EXPECT_EQ((*again)->revocation()->SerializeAsString(), Revocation(7).SerializeAsString());
  ASSERT_NE((*again)->recruit_floor(), nullptr);
  EXPECT_EQ((*again)->recruit_floor()->SerializeAsString(), floor.SerializeAsString());
  EXPECT_EQ((*again)->highest_followed().coordinator_term(), 6);
  ASSERT_TRUE((*again)->ClearRecruitFloor());
  EXPECT_EQ((*folder.Open())->recruit_floor(), nullptr);
}

TEST(PromiseStore, TheHighestFollowedRuleNeverSinks) {
  Folder folder;
  auto store = folder.Open();
  ASSERT_TRUE((*store)->StoreFollowed(MakeRuleNumber(6, 1)));
  ASSERT_TRUE((*store)->StoreFollowed(MakeRuleNumber(5, 9)));
  EXPECT_EQ((*store)->highest_followed().coordinator_term(), 6);
}

TEST(PromiseStore, IsPrivate) {
  Folder folder;
  ASSERT_TRUE((*folder.Open())->EnsureFile());
  struct stat info{};
  ASSERT_EQ(::stat(folder.file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST(PromiseStore, RefusesToStartWhenItIsMissingBesideADataDirectory) {
  Folder folder;
  folder.Initialise();
  auto store = folder.Open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), Code::kFailedPrecondition);
}

TEST(PromiseStore, RefusesWhatItCannotRead) {
  for (const char* text : {"", "{", "[]", R"({"term_revocation": 5})", R"({"future_promise": {}})"}) {
    Folder folder;
    ASSERT_TRUE(fs::WriteFileAtomic(folder.file, text));
    auto store = folder.Open();
    ASSERT_FALSE(store) << text;
    EXPECT_EQ(store.error().code(), Code::kDataLoss);
  }
}

TEST(PromiseStore, AFailedWriteChangesNothing) {
  Folder folder;
  auto store = folder.Open();
  ASSERT_TRUE((*store)->StoreRevocation(Revocation(3)));
  ASSERT_TRUE(fs::RemoveTree(folder.dir.path()));
  EXPECT_FALSE((*store)->StoreRevocation(Revocation(4)));
  EXPECT_EQ((*store)->revocation()->revoked_below_term(), 3);
}

}  // namespace
}  // namespace multigres::pooler::consensus
