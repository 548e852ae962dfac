#include "common/pgclient/pipeline.h"

#include <gtest/gtest.h>

#include <string_view>

namespace multigres::pgclient {
namespace {

Pipeline After(std::string_view sent, std::string_view received = "") {
  Pipeline pipeline;
  for (const char type : sent) pipeline.Sent(type);
  for (const char type : received) pipeline.Received(type);
  return pipeline;
}

TEST(Pipeline, SimpleQueryIsDoneAtReady) {
  EXPECT_FALSE(After("Q").empty());
  EXPECT_FALSE(After("Q", "TDDC").empty());
  EXPECT_TRUE(After("Q", "TDDCZ").empty());
  EXPECT_TRUE(After("Q", "CTDCEZ").empty());
  EXPECT_TRUE(After("Q", "IZ").empty());
}

TEST(Pipeline, ExtendedBatchIsDoneAtTheReadyOfItsSync) {
  EXPECT_TRUE(After("PBDES", "12TDDCZ").empty());
  EXPECT_FALSE(After("PBDES", "12TDDC").empty());
  EXPECT_TRUE(After("PDS", "1tnZ").empty());
  EXPECT_TRUE(After("BES", "2sZ").empty());
}

TEST(Pipeline, AnsweredMessagesWithoutSyncKeepTheBatchOpen) {
  const Pipeline pipeline = After("PBEH", "12C");
  EXPECT_FALSE(pipeline.empty());
  EXPECT_EQ(pipeline.size(), 0u);
  EXPECT_TRUE(pipeline.batch_open());
}

TEST(Pipeline, ErrorSkipsToTheSync) {
  EXPECT_TRUE(After("PBEPBES", "12EZ").empty());
  EXPECT_TRUE(After("PBES", "EZ").empty());
  EXPECT_EQ(After("PBESPBES", "E").size(), 5u);
  EXPECT_TRUE(After("PBESPBES", "EZ12CZ").empty());
}

TEST(Pipeline, ErrorInABatchSwallowsASimpleQueryBeforeTheSync) {
  // Extended BEGIN, then a simple statement, then Sync.
  EXPECT_TRUE(After("PBEQS", "12CTDCZZ").empty());
  EXPECT_FALSE(After("PBEQS", "12CTDCZ").empty());
  EXPECT_TRUE(After("PBEQS", "EZ").empty());
  EXPECT_TRUE(After("PBEQS", "12CEZZ").empty());
}

TEST(Pipeline, ErrorBeforeTheSyncIsSentDropsWhatComesInBetween) {
  Pipeline pipeline = After("PBEH", "12E");
  EXPECT_FALSE(pipeline.empty());
  pipeline.Sent('Q');  // the server drops it
  EXPECT_EQ(pipeline.size(), 0u);
  pipeline.Sent('S');
  EXPECT_EQ(pipeline.syncs(), 1u);
  pipeline.Received('Z');
  EXPECT_TRUE(pipeline.empty());
}

TEST(Pipeline, ErrorAtTheSyncIsAnsweredByItsReady) {
  EXPECT_FALSE(After("PBES", "12CE").empty());
  EXPECT_TRUE(After("PBES", "12CEZ").empty());
}

TEST(Pipeline, UnaskedMessagesAnswerNothing) {
  EXPECT_TRUE(After("Q", "NSACZ").empty());
  EXPECT_EQ(After("Q", "NSA").size(), 1u);
}

TEST(Pipeline, CountsWhatIsToCome) {
  const Pipeline pipeline = After("QPBESQ", "CZ1");
  EXPECT_EQ(pipeline.syncs(), 2u);
  EXPECT_EQ(pipeline.front(), 'B');
}

TEST(Pipeline, FunctionCallIsDoneAtReady) {
  EXPECT_TRUE(After("F", "VZ").empty());
  EXPECT_TRUE(After("F", "EZ").empty());
}

}  // namespace
}  // namespace multigres::pgclient
