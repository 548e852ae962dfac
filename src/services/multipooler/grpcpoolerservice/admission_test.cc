#include "services/multipooler/grpcpoolerservice/admission.h"

#include <gtest/gtest.h>

#include "query.pb.h"

namespace multigres::pooler::grpcpoolerservice {
namespace {

using manager::RoutingRole;

::query::Target TargetOf(clustermetadata::PoolerType type) {
  ::query::Target target;
  target.set_table_group("default");
  target.set_shard("0-inf");
  target.set_database("postgres");
  target.set_pooler_type(type);
  return target;
}

std::string StateOf(const Result<>& result) {
  return result ? "ok" : result.error().sqlstate();
}

TEST(Admission, TakesEachKindAsThePhaseSays) {
  Admission admission({"postgres", "default", "0-inf"});
  const auto target = TargetOf(clustermetadata::PRIMARY);
  struct Row {
    Phase phase;
    const char* existing;
    const char* single;
    const char* fresh;
  };
  for (const Row& row :
       {Row{Phase::kServing, "ok", "ok", "ok"}, Row{Phase::kDrainReservations, "ok", "ok", "MTF01"},
        Row{Phase::kDrainStatements, "ok", "MTF01", "MTF01"}, Row{Phase::kNotServing, "MTF01", "MTF01", "MTF01"}}) {
    admission.Set(row.phase, RoutingRole::kPrimary);
    EXPECT_EQ(StateOf(admission.StartRequest(target, RequestKind::kExisting)), row.existing);
    EXPECT_EQ(StateOf(admission.StartRequest(target, RequestKind::kSingle)), row.single);
    EXPECT_EQ(StateOf(admission.StartRequest(target, RequestKind::kNew)), row.fresh);
  }
}

TEST(Admission, OnlyTheLeaderTakesNewWorkForThePrimary) {
  Admission admission({"postgres", "default", "0-inf"});
  for (const auto role : {RoutingRole::kReplica, RoutingRole::kUnknown}) {
    admission.Set(Phase::kServing, role);
    const auto primary = TargetOf(clustermetadata::PRIMARY);
    EXPECT_EQ(StateOf(admission.StartRequest(primary, RequestKind::kSingle)), "MTF01");
    EXPECT_EQ(StateOf(admission.StartRequest(primary, RequestKind::kNew)), "MTF01");
    EXPECT_EQ(StateOf(admission.StartRequest(primary, RequestKind::kExisting)), "ok");
    EXPECT_EQ(StateOf(admission.StartRequest(TargetOf(clustermetadata::REPLICA), RequestKind::kSingle)), "ok");
    EXPECT_EQ(StateOf(admission.StartRequest(TargetOf(clustermetadata::UNKNOWN), RequestKind::kSingle)), "ok");
  }
}

TEST(Admission, AnotherShardIsABugWhateverThePhase) {
  Admission admission({"postgres", "default", "0-inf"});
  admission.Set(Phase::kNotServing, RoutingRole::kUnknown);
  auto target = TargetOf(clustermetadata::PRIMARY);
  target.set_shard("80-");
  EXPECT_EQ(StateOf(admission.StartRequest(target, RequestKind::kSingle)), "MTD01");
  target = TargetOf(clustermetadata::PRIMARY);
  target.set_database("other");
  EXPECT_EQ(StateOf(admission.StartRequest(target, RequestKind::kSingle)), "MTD01");
}

TEST(Admission, DrainedIsNoTarget) {
  Admission admission({"postgres", "default", "0-inf"});
  admission.Set(Phase::kServing, RoutingRole::kPrimary);
  const auto refused = admission.StartRequest(TargetOf(clustermetadata::DRAINED), RequestKind::kSingle);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace multigres::pooler::grpcpoolerservice
