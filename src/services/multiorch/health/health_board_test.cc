#include "services/multiorch/health/health_board.h"

#include <gtest/gtest.h>

#include "common/consensus/testing.h"
#include "tools/clock/virtual_clock.h"

namespace multigres::orch {
namespace {

using namespace std::chrono_literals;
using consensus::testing::kNow;
using consensus::testing::Promise;

class Board {
 public:
  void Add(const std::string& member, const std::string& shard = "0-inf") {
    auto record = std::make_shared<::clustermetadata::MultiPooler>();
    *record->mutable_id() = consensus::testing::Member(member);
    record->mutable_shard_key()->set_shard(shard);
    board.SetRecord(std::move(record));
  }
  void Report(const std::string& member, const ::clustermetadata::TermRevocation& promise) {
    ::multipoolermanagerdata::StatusResponse status;
    *status.mutable_consensus_status()->mutable_term_revocation() = promise;
    board.SetStatus(member, std::move(status));
  }
  Duration KnownFor(const std::string& member) const {
    return clock.Now() - board.Find(member)->promise_since.value_or(clock.Now());
  }

  VirtualClock clock;
  HealthBoard board{clock};
};

TEST(HealthBoard, MeasuresAPromiseFromWhenItWasFirstHeardOf) {
  for (const Duration skew : {Duration(0h), Duration(-1h), Duration(1h)}) {
    Board b;
    b.Add("z1_a");
    const auto promise = Promise(2, 1, 0, "other", kNow + skew);
    b.Report("z1_a", promise);
    EXPECT_EQ(b.KnownFor("z1_a"), 0s);
    b.clock.Advance(3s);
    b.Report("z1_a", promise);
    EXPECT_EQ(b.KnownFor("z1_a"), 3s);
    b.Report("z1_a", Promise(3, 1, 0, "other", kNow + skew));
    EXPECT_EQ(b.KnownFor("z1_a"), 0s);
  }
}

TEST(HealthBoard, TakesAnAttemptThatAnotherMemberReportsForTheSame) {
  Board b;
  for (const char* member : {"z1_a", "z2_b"}) b.Add(member);
  b.Add("z3_c", "another");
  const auto promise = Promise(2, 1, 0, "other");
  b.Report("z1_a", promise);
  b.clock.Advance(3s);
  // The answer of a Recruit; its outgoing rule has grown.
  ::clustermetadata::ConsensusStatus status;
  *status.mutable_term_revocation() = Promise(2, 1, 7, "other");
  b.board.SetConsensus("z2_b", status);
  EXPECT_EQ(b.KnownFor("z2_b"), 3s);
  b.Report("z3_c", promise);
  EXPECT_EQ(b.KnownFor("z3_c"), 0s) << "another shard";
  b.Report("z2_b", Promise(2, 1, 0, "rival"));
  EXPECT_EQ(b.KnownFor("z2_b"), 0s) << "another attempt of the term";
}

TEST(HealthBoard, ForgetsAPromiseThatIsGone) {
  Board b;
  b.Add("z1_a");
  b.Report("z1_a", Promise(2, 1, 0, "other"));
  EXPECT_TRUE(b.board.Find("z1_a")->promise_since);
  b.Report("z1_a", {});
  EXPECT_FALSE(b.board.Find("z1_a")->promise_since);
}

}  // namespace
}  // namespace multigres::orch
