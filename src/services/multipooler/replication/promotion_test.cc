#include "services/multipooler/replication/promotion.h"

#include <gtest/gtest.h>

#include "services/multipooler/replication/auto_conf.h"
#include "services/multipooler/replication/settings.h"
#include "tools/fs/file.h"

namespace multigres::pooler::replication {
namespace {

struct DataDir {
  using Names = std::vector<std::string>;
  DataDir() { EXPECT_TRUE(fs::MakeDirectories(dir.path() + "/pg_wal")); }
  void Put(const std::string& name, std::string_view content) {
    EXPECT_TRUE(fs::WriteFileAtomic(dir.path() + "/pg_wal/" + name, content));
  }
  Names Wal() { return *fs::ListDirectory(dir.path() + "/pg_wal"); }
  fs::TempDir dir = *fs::TempDir::Create("promotion");
};

TEST(TimelineReservation, TakesEveryIdUpToTheTermAndGivesThemBackUnlessKept) {
  DataDir data;
  data.Put("00000003.history", "1\t0/2000000\treal\n");
  {
    auto reservation = TimelineReservation::Make(data.dir.path(), 1, 4);
    ASSERT_TRUE(reservation);
    EXPECT_EQ(data.Wal(), (DataDir::Names{"00000002.history", "00000003.history", "00000004.history"}));
  }
  EXPECT_EQ(data.Wal(), (DataDir::Names{"00000003.history"}));
  {
    auto reservation = TimelineReservation::Make(data.dir.path(), 1, 2);
    reservation->Keep();
  }
  EXPECT_EQ(data.Wal(), (DataDir::Names{"00000002.history", "00000003.history"}));
}

TEST(TimelineReservation, RefusesASecondPromotionInATerm) {
  DataDir data;
  EXPECT_FALSE(TimelineReservation::Make(data.dir.path(), 3, 2));
  EXPECT_TRUE(TimelineReservation::Make(data.dir.path(), 2, 2));
}

TEST(TimelineReservation, LeftoversAreTheEmptyOnesThatNoRealTimelineFollows) {
  DataDir data;
  data.Put("00000002.history", "");
  data.Put("00000003.history", "1\t0/2000000\treal\n");
  data.Put("00000004.history", "");
  data.Put("00000005.history", "");
  data.Put("000000010000000000000001", "");
  ASSERT_TRUE(TimelineReservation::RemoveLeftovers(data.dir.path()));
  EXPECT_EQ(data.Wal(), (DataDir::Names{"000000010000000000000001", "00000002.history", "00000003.history"}));
}

TEST(AutoConf, ReplacesRemovesAndKeepsTheRest) {
  DataDir data;
  const std::string path = data.dir.path() + "/postgresql.auto.conf";
  ASSERT_TRUE(fs::WriteFileAtomic(path,
                                  "# Do not edit\nprimary_conninfo = 'host=old'\nwork_mem = '4MB'\n"
                                  "restore_command = 'x'\n"));
  const std::vector<AutoConfChange> changes = {
      {.name = "restore_command", .remove = true, .value = {}},
      {.name = "primary_conninfo", .remove = false, .value = R"(host='it\'s')"},
  };
  ASSERT_TRUE(EditAutoConf(data.dir.path(), changes));
  EXPECT_EQ(*fs::ReadFile(path),
            "# Do not edit\nwork_mem = '4MB'\n"
            R"(primary_conninfo = 'host=''it\\''s''')"
            "\n");
}

TEST(PrimaryConninfo, NamesThePassfileAndNeverAPassword) {
  const PrimaryConninfo conninfo{
      .host = "h", .port = 5432, .user = "it's", .application_name = "zone1_a", .passfile = "/p/pgpass"};
  EXPECT_EQ(conninfo.Text(),
            R"(host='h' port=5432 user='it\'s' application_name='zone1_a' dbname=postgres passfile='/p/pgpass')");
}

}  // namespace
}  // namespace multigres::pooler::replication
