#include "services/multipooler/grpcpoolerservice/running_statements.h"

#include <gtest/gtest.h>

#include <memory>

namespace multigres::pooler::grpcpoolerservice {
namespace {

TEST(RunningStatements, CancelsTheStatementsOfOneSessionOnly) {
  RunningStatements running;
  CancelToken call;
  RunningStatements::Entry mine(running, 7, call);
  RunningStatements::Entry other(running, 8, call);
  EXPECT_TRUE(running.Cancel(7, CancelReason::kDeadline));
  EXPECT_EQ(mine.cancel().reason(), CancelReason::kDeadline);
  EXPECT_FALSE(other.cancel().IsCancelled());
  EXPECT_FALSE(call.IsCancelled());
}

TEST(RunningStatements, ALateCancelHitsNobody) {
  RunningStatements running;
  CancelToken call;
  auto first = std::make_unique<RunningStatements::Entry>(running, 7, call);
  RunningStatements::Entry between(running, 8, call);
  first.reset();
  EXPECT_FALSE(running.Cancel(7, CancelReason::kCancelled));
  RunningStatements::Entry next(running, 7, call);
  EXPECT_FALSE(next.cancel().IsCancelled());
}

TEST(RunningStatements, AStatementWithoutASessionIsNobodys) {
  RunningStatements running;
  CancelToken call;
  RunningStatements::Entry entry(running, 0, call);
  EXPECT_FALSE(running.Cancel(0, CancelReason::kCancelled));
}

TEST(RunningStatements, TheEndOfTheCallIsTheStatements) {
  RunningStatements running;
  CancelToken call;
  RunningStatements::Entry entry(running, 7, call);
  call.Cancel(CancelReason::kDeadline);
  EXPECT_EQ(entry.cancel().reason(), CancelReason::kDeadline);
  CancelToken over;
  over.Cancel(CancelReason::kCancelled);
  EXPECT_TRUE(RunningStatements::Entry(running, 7, over).cancel().IsCancelled());
}

}  // namespace
}  // namespace multigres::pooler::grpcpoolerservice
