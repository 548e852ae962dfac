#include "services/multiorch/watch_targets.h"

#include <gtest/gtest.h>

#include "clustermetadata.pb.h"

namespace multigres::orch {
namespace {

clustermetadata::ShardKey Key(std::string database, std::string table_group, std::string shard) {
  clustermetadata::ShardKey key;
  key.set_database(std::move(database));
  key.set_table_group(std::move(table_group));
  key.set_shard(std::move(shard));
  return key;
}

TEST(WatchTargets, MatchByWhatTheyName) {
  auto all = WatchTargets::Parse({"postgres"});
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->Matches(Key("postgres", "default", "0-inf")));
  EXPECT_FALSE(all->Matches(Key("other", "default", "0-inf")));
  auto one = WatchTargets::Parse({"other", "postgres/default/0-inf"});
  ASSERT_TRUE(one);
  EXPECT_TRUE(one->Matches(Key("postgres", "default", "0-inf")));
  EXPECT_FALSE(one->Matches(Key("postgres", "default", "80-inf")));
}

TEST(WatchTargets, MalformedOnesAreRefused) {
  const std::vector<std::vector<std::string>> cases = {{}, {""}, {"a//b"}, {"a/default/0-inf/x"}, {"a/other"}, {"/a"}};
  for (const auto& texts : cases) {
    auto targets = WatchTargets::Parse(texts);
    ASSERT_FALSE(targets);
    EXPECT_EQ(targets.error().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace multigres::orch
