#include "services/multipooler/consensus/promise_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/consensus/rule_number.h"
#include "tools/fs/file.h"

namespace multigres::pooler::consensus {
namespace {

using multigres::consensus::MakeRuleNumber;

class Data final : public replication::DataDirectory {
 public:
  bool Exists() const override { return exists; }
  Result<> EditAutoConf(const std::vector<replication::AutoConfChange>& /*changes*/) override { return {}; }
  Result<> RemoveTimelineLeftovers() override { return {}; }
  Result<std::string> ReadMark() const override {
    if (mark.empty()) return Fail(Code::kNotFound, "no mark");
    return mark;
  }
  Result<> WriteMark(std::string_view text) override {
    if (full) return Fail(Code::kUnavailable, "no space left");
    mark = text;
    return {};
  }
  Awaitable<Result<>> Seed(replication::SeedSource /*source*/, Deadline /*deadline*/) override { co_return Result<>(); }
  Result<> Remove() override { return {}; }

  bool exists = false;
  bool full = false;
  std::string mark;
};

struct Folder {
  fs::TempDir dir = *fs::TempDir::Create("promises");
  fs::LocalDisk disk;
  Data data;
  std::string member = "zone1_a";
  std::string file = dir.path() + "/consensus_promises.json";

  Result<std::unique_ptr<PromiseStore>> Open() { return PromiseStore::Open({disk, dir.path(), data, member}); }
  void Initialise() { data.exists = true; }
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

// --- one of both folders was replaced

// Both as they are after a few promises.
struct Pair : Folder {
  Pair() {
    Initialise();
    data.exists = false;
    store = std::move(*Open());
    Initialise();
    EXPECT_TRUE(store->StoreRevocation(Revocation(3)));
    EXPECT_TRUE(store->StoreRevocation(Revocation(4)));
  }
  std::string Promises() { return *fs::ReadFile(file); }
  void PutPromises(const std::string& text) { EXPECT_TRUE(fs::WriteFileAtomic(file, text)); }
  std::unique_ptr<PromiseStore> store;
};

TEST(PromiseStore, BothFoldersAsTheyWereArePassed) {
  Pair pair;
  auto again = pair.Open();
  ASSERT_TRUE(again);
  EXPECT_FALSE((*again)->data_was_replaced());
}

TEST(PromiseStore, RefusesToStartAsAnOlderCopyBesideNewerData) {
  Pair pair;
  const std::string before = pair.Promises();
  ASSERT_TRUE(pair.store->StoreRevocation(Revocation(5)));
  pair.PutPromises(before);
  auto again = pair.Open();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(again.error().message().find("older copy"), std::string::npos) << again.error().message();
}

TEST(PromiseStore, NoticesOlderData) {
  Pair pair;
  const std::string before = pair.data.mark;
  ASSERT_TRUE(pair.store->StoreRevocation(Revocation(5)));
  ASSERT_TRUE(pair.store->StoreRevocation(Revocation(6)));
  for (const std::string& mark : {before, std::string(), std::string("nonsense")}) {
    pair.data.mark = mark;
    auto again = pair.Open();
    ASSERT_TRUE(again) << mark;
    EXPECT_TRUE((*again)->data_was_replaced()) << mark;
    EXPECT_EQ((*again)->revocation()->revoked_below_term(), 6);
  }
}

TEST(PromiseStore, NoticesAnotherMembersDataUntilItIsMarked) {
  Pair pair;
  Pair other;
  other.member = "zone2_b";
  other.store = std::move(*other.Open());
  for (int term = 5; term < 20; ++term) ASSERT_TRUE(other.store->StoreRevocation(Revocation(term)));
  // As pg_rewind and copies leave it.
  pair.data.mark = other.data.mark;
  auto again = pair.Open();
  ASSERT_TRUE(again);
  EXPECT_TRUE((*again)->data_was_replaced());
  ASSERT_TRUE((*again)->MarkData());
  EXPECT_FALSE((*pair.Open())->data_was_replaced());
}

// Ended between the two writes, or without room for the second: nothing was replaced.
TEST(PromiseStore, AWriteThatDidNotReachTheDataDirectoryIsNoReplacement) {
  Pair pair;
  pair.data.full = true;
  for (int term = 5; term < 9; ++term) {
    ASSERT_TRUE(pair.store->StoreRevocation(Revocation(term)));
    auto again = pair.Open();
    ASSERT_TRUE(again);
    EXPECT_FALSE((*again)->data_was_replaced());
    EXPECT_EQ((*again)->revocation()->revoked_below_term(), term);
  }
}

TEST(PromiseStore, AFileOfBeforeThereWereMarksIsPassed) {
  Pair pair;
  pair.PutPromises("{}");
  pair.data.mark.clear();
  auto again = pair.Open();
  ASSERT_TRUE(again);
  EXPECT_FALSE((*again)->data_was_replaced());
}

TEST(PromiseStore, RefusesWhatItCannotRead) {
  for (const char* text :
       {"", "{", "[]", R"({"term_revocation": 5})", R"({"future_promise": {}})", R"({"writes": "x"})"}) {
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
