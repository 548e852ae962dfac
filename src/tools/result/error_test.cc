#include "tools/result/error.h"

#include <gtest/gtest.h>

namespace multigres {
namespace {

TEST(Error, ContextIsPutInFrontOnTheWayUp) {
  Error error(Code::kNotFound, "42P01", "no such file");
  const Error above = std::move(error).With("open promise file").With("start");
  EXPECT_EQ(above.message(), "start: open promise file: no such file");
  EXPECT_EQ(above.ToString(), "NOT_FOUND [42P01]: start: open promise file: no such file");
}

// Assigning the result back to its source must not move an object onto itself.
TEST(Error, MayBeExtendedInPlace) {
  Error error(Code::kUnavailable, "a message too long to be stored inside of the string object itself");
  error = std::move(error).WithExecution(Execution::kDidNotExecute);
  EXPECT_EQ(error.message(), "a message too long to be stored inside of the string object itself");
  error = std::move(error).With("context");
  EXPECT_TRUE(error.message().starts_with("context: a message"));
  EXPECT_EQ(error.execution(), Execution::kDidNotExecute);
}

TEST(Error, ADiagnosticSaysThatTheStatementWasExecuted) {
  PgDiagnostic diagnostic;
  diagnostic.code = "22012";
  diagnostic.message = "division by zero";
  const Error error = Error::FromDiagnostic(diagnostic);
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_EQ(error.execution(), Execution::kExecuted);
  ASSERT_NE(error.diagnostic(), nullptr);
  EXPECT_EQ(error.diagnostic()->message, "division by zero");
}

TEST(Error, UnknownCodesHaveAName) {
  EXPECT_EQ(CodeName(Code::kPreExecutionUnavailable), "PRE_EXECUTION_UNAVAILABLE");
  EXPECT_EQ(CodeName(static_cast<Code>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace multigres
