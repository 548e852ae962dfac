#include "common/mterrors/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/mterrors/conditions.h"
#include "google/rpc/status.pb.h"
#include "mtrpc.pb.h"
#include "query.pb.h"

namespace multigres::mterrors {
namespace {

PgDiagnostic FullDiagnostic() {
  return {.severity = "ERROR",
          .code = "23505",
          .message = "duplicate key",
          .detail = "Key (a)=(1) already exists.",
          .hint = "try another",
          .position = 7,
          .internal_position = 3,
          .internal_query = "INSERT",
          .where = "PL/pgSQL function f()",
          .schema_name = "public",
          .table_name = "t",
          .column_name = "a",
          .data_type_name = "int4",
          .constraint_name = "t_pkey"};
}

// As the client's runtime sees a handler's error: without what only this process knew.
Error AcrossTheWire(const Error& sent) {
  return Error(sent.code(), sent.message()).WithStatusDetails(std::string(sent.status_details()));
}

::google::rpc::Status StatusOf(const Error& error) {
  ::google::rpc::Status status;
  EXPECT_TRUE(status.ParseFromString(error.status_details()));
  return status;
}

::mtrpc::RPCError RpcErrorOf(const Error& error) {
  const ::google::rpc::Status status = StatusOf(error);
  ::mtrpc::RPCError rpc;
  EXPECT_TRUE(status.details(0).UnpackTo(&rpc));
  return rpc;
}

TEST(ToWire, PlainPostgresErrorTravelsAsUnknownWithAllItsFields) {
  const Error sent = ToWire(Error::FromDiagnostic(FullDiagnostic()));
  EXPECT_EQ(sent.code(), Code::kUnknown);
  EXPECT_EQ(StatusOf(sent).code(), 2);
  EXPECT_EQ(StatusOf(sent).message(), "duplicate key");
  EXPECT_EQ(StatusOf(sent).details(0).type_url(), "type.googleapis.com/mtrpc.RPCError");

  const Error got = FromWire(AcrossTheWire(sent));
  EXPECT_EQ(got.code(), Code::kUnknown);
  EXPECT_EQ(got.sqlstate(), "23505");
  ASSERT_NE(got.diagnostic(), nullptr);
  EXPECT_EQ(got.diagnostic()->severity, "ERROR");
  EXPECT_EQ(got.diagnostic()->detail, "Key (a)=(1) already exists.");
  EXPECT_EQ(got.diagnostic()->hint, "try another");
  EXPECT_EQ(got.diagnostic()->position, 7);
  EXPECT_EQ(got.diagnostic()->internal_position, 3);
  EXPECT_EQ(got.diagnostic()->internal_query, "INSERT");
  EXPECT_EQ(got.diagnostic()->where, "PL/pgSQL function f()");
  EXPECT_EQ(got.diagnostic()->schema_name, "public");
  EXPECT_EQ(got.diagnostic()->table_name, "t");
  EXPECT_EQ(got.diagnostic()->column_name, "a");
  EXPECT_EQ(got.diagnostic()->data_type_name, "int4");
  EXPECT_EQ(got.diagnostic()->constraint_name, "t_pkey");
  EXPECT_EQ(got.execution(), Execution::kExecuted);
}

TEST(ToWire, CodesBeyondGrpcTravelAsUnknownAndComeBack) {
  for (const Code code : {Code::kClusterEvent, Code::kReadOnly}) {
    const Error sent = ToWire(Error(code, "x"));
    EXPECT_EQ(sent.code(), Code::kUnknown);
    EXPECT_EQ(FromWire(AcrossTheWire(sent)).code(), code);
  }
}

TEST(ToWire, GrpcCodesStayThemselves) {
  const Error sent = ToWire(Error(Code::kInvalidArgument, "unknown reservation bits"));
  EXPECT_EQ(sent.code(), Code::kInvalidArgument);
  const Error got = FromWire(AcrossTheWire(sent));
  EXPECT_EQ(got.code(), Code::kInvalidArgument);
  EXPECT_EQ(got.message(), "unknown reservation bits");
  EXPECT_EQ(got.sqlstate(), "");
  EXPECT_EQ(got.diagnostic(), nullptr);
}

TEST(ToWire, DiagnosticKeepsACodeThatIsNotUnknown) {
  const Error got = FromWire(AcrossTheWire(ToWire(ReservedConnectionTerminated(17))));
  EXPECT_EQ(got.code(), Code::kAborted);
  EXPECT_EQ(got.sqlstate(), "40001");
  EXPECT_EQ(got.diagnostic()->detail, "reserved connection 17 was terminated");
  EXPECT_EQ(got.execution(), Execution::kMayHaveExecuted);
}

TEST(ToWire, ErrorWithOwnSqlstateTravelsAsDiagnostic) {
  const Error got = FromWire(AcrossTheWire(ToWire(PlannedFailover())));
  EXPECT_EQ(got.code(), Code::kClusterEvent);
  EXPECT_EQ(got.sqlstate(), "MTF01");
  EXPECT_EQ(got.message(), "planned failover in progress");
  EXPECT_EQ(got.diagnostic()->severity, "ERROR");
  EXPECT_EQ(got.execution(), Execution::kDidNotExecute);
}

TEST(ToWire, PreExecutionUnavailableNeedsProof) {
  const Error proven = ToWire(TemporarilyUnavailable());
  EXPECT_EQ(RpcErrorOf(proven).code(), ::mtrpc::PRE_EXECUTION_UNAVAILABLE);
  const Error got = FromWire(AcrossTheWire(proven));
  EXPECT_EQ(got.code(), Code::kPreExecutionUnavailable);
  EXPECT_EQ(got.sqlstate(), "57P03");
  EXPECT_EQ(got.execution(), Execution::kDidNotExecute);

  const Error unproven = ToWire(Error(Code::kPreExecutionUnavailable, "57P03", "gone"));
  EXPECT_EQ(unproven.code(), Code::kUnavailable);
  EXPECT_EQ(RpcErrorOf(unproven).code(), ::mtrpc::UNAVAILABLE);
  EXPECT_EQ(FromWire(AcrossTheWire(unproven)).execution(), Execution::kMayHaveExecuted);
}

TEST(ToWire, MessageIsCutAt7680BytesBetweenCharacters) {
  std::string message(kMaxMessageBytes - 1, 'a');
  message += "\xC3\xA9";
  const Error sent = ToWire(Error(Code::kInternal, message));
  EXPECT_EQ(RpcErrorOf(sent).message(), std::string(kMaxMessageBytes - 1, 'a'));
  EXPECT_EQ(sent.message().size(), kMaxMessageBytes - 1);
}

TEST(ToWire, LongDetailIsCutAndShortFieldsStay) {
  PgDiagnostic diagnostic = FullDiagnostic();
  diagnostic.detail = std::string(60'000, 'd');
  diagnostic.where = std::string(50'000, 'w');
  const Error error = Error::FromDiagnostic(std::move(diagnostic));
  EXPECT_FALSE(FitsTheWire(error));
  const Error sent = ToWire(error);
  EXPECT_LE((sent.status_details().size() + 2) / 3 * 4, kMaxEncodedDetailBytes);
  EXPECT_GT(sent.status_details().size() * 4 / 3, kMaxEncodedDetailBytes - 256) << "cut no more than needed";
  const Error got = FromWire(AcrossTheWire(sent));
  EXPECT_EQ(got.message(), "duplicate key");
  EXPECT_EQ(got.diagnostic()->hint, "try another");
  EXPECT_EQ(got.diagnostic()->constraint_name, "t_pkey");
  EXPECT_EQ(got.diagnostic()->detail.size(), got.diagnostic()->where.size());
}

TEST(ToWire, EveryFieldLongStillFits) {
  PgDiagnostic diagnostic;
  for (std::string* text :
       {&diagnostic.severity, &diagnostic.code, &diagnostic.message, &diagnostic.detail, &diagnostic.hint,
        &diagnostic.internal_query, &diagnostic.where, &diagnostic.schema_name, &diagnostic.table_name,
        &diagnostic.column_name, &diagnostic.data_type_name, &diagnostic.constraint_name}) {
    for (int i = 0; i < 20'000; ++i) *text += "\xE2\x82\xAC";
  }
  const Error sent = ToWire(Error::FromDiagnostic(std::move(diagnostic)));
  EXPECT_LE((sent.status_details().size() + 2) / 3 * 4, kMaxEncodedDetailBytes);
  const Error got = FromWire(AcrossTheWire(sent));
  ASSERT_NE(got.diagnostic(), nullptr);
  EXPECT_EQ(got.diagnostic()->where.size() % 3, 0) << "cut inside a character";
}

TEST(ToWire, OrdinaryDiagnosticFits) {
  EXPECT_TRUE(FitsTheWire(Error::FromDiagnostic(FullDiagnostic())));
}

TEST(ToWire, TextInAnotherEncodingStaysAsItIs) {
  PgDiagnostic diagnostic = FullDiagnostic();
  diagnostic.message =
      "cl\xE9 dupliqu\xE9"
      "e";
  const Error sent = ToWire(Error::FromDiagnostic(std::move(diagnostic)));
  EXPECT_EQ(StatusOf(sent).message(),
            "cl\xEF\xBF\xBD dupliqu\xEF\xBF\xBD"
            "e")
      << "others take UTF-8 only";
  const Error got = FromWire(AcrossTheWire(sent));
  EXPECT_EQ(got.sqlstate(), "23505");
  EXPECT_EQ(got.message(),
            "cl\xE9 dupliqu\xE9"
            "e");
}

TEST(ToWire, ReservedStateRidesAlong) {
  ::query::ReservedState state;
  state.set_reserved_connection_id(99);
  state.set_reservation_reasons(2);
  const Error got = FromWire(AcrossTheWire(ToWire(Error::FromDiagnostic(FullDiagnostic()), &state)));
  const auto found = ReservedStateOf(got);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->reserved_connection_id(), 99);
  EXPECT_EQ(found->reservation_reasons(), 2);
  EXPECT_EQ(got.sqlstate(), "23505");
  EXPECT_EQ(ReservedStateOf(FromWire(AcrossTheWire(ToWire(PlannedFailover())))), nullptr);
}

TEST(FromWire, CancelAndDeadlineComeBeforeAnyDetail) {
  const Error canceled = AcrossTheWire(ToWire(Error(Code::kCanceled, "23505", "x")));
  EXPECT_EQ(FromWire(canceled).sqlstate(), "57014");
  EXPECT_EQ(FromWire(canceled).message(), "canceling statement due to user request");
  EXPECT_EQ(FromWire(Error(Code::kDeadlineExceeded, "late")).message(), "canceling statement due to statement timeout");
}

TEST(FromWire, CancelWinsOverASimultaneousDeadline) {
  const Error late(Code::kDeadlineExceeded, "late");
  EXPECT_EQ(FromWire(late, CancelReason::kCancelled).message(), "canceling statement due to user request");
  const Error canceled(Code::kCanceled, "cancelled");
  EXPECT_EQ(FromWire(canceled, CancelReason::kDeadline).message(), "canceling statement due to statement timeout");
}

TEST(FromWire, OnlyANeverSentRequestBecomesPreExecutionUnavailable) {
  const Error refused = Error(Code::kUnavailable, "GOAWAY").WithExecution(Execution::kDidNotExecute);
  EXPECT_EQ(FromWire(refused).code(), Code::kPreExecutionUnavailable);
  EXPECT_EQ(FromWire(refused).sqlstate(), "57P03");
  EXPECT_EQ(FromWire(refused).message(), "database is temporarily unavailable; please retry");

  const Error lost(Code::kUnavailable, "connection reset");
  EXPECT_EQ(FromWire(lost).code(), Code::kUnavailable);
  EXPECT_EQ(FromWire(lost).execution(), Execution::kMayHaveExecuted);
  const Error too_large = Error(Code::kResourceExhausted, "too large").WithExecution(Execution::kDidNotExecute);
  EXPECT_EQ(FromWire(too_large).code(), Code::kResourceExhausted) << "sending it again can't help";
}

TEST(FromWire, GarbageInDetailsLeavesTheStatus) {
  const Error got = FromWire(Error(Code::kInternal, "boom").WithStatusDetails("\xFF\xFF not protobuf"));
  EXPECT_EQ(got.code(), Code::kInternal);
  EXPECT_EQ(got.message(), "boom");
}

TEST(FromWire, UnknownCodeNumberIsUnknown) {
  ::mtrpc::RPCError rpc;
  rpc.set_message("from the future");
  rpc.set_code(static_cast<::mtrpc::Code>(77));
  ::google::rpc::Status status;
  status.set_code(2);
  status.add_details()->PackFrom(rpc);
  const Error got = FromWire(Error(Code::kUnknown, "x").WithStatusDetails(status.SerializeAsString()));
  EXPECT_EQ(got.code(), Code::kUnknown);
  EXPECT_EQ(got.message(), "from the future");
}

TEST(Conditions, ConnectionStatesAreThoseOfTheSpecification) {
  for (const char* state : {"08000", "08006", "57P01", "57P02", "57P03", "57P05"}) {
    EXPECT_TRUE(IsConnectionState(state)) << state;
  }
  for (const char* state : {"57014", "57P04", "40001", "XX000", ""}) EXPECT_FALSE(IsConnectionState(state)) << state;
}

TEST(Conditions, FatalEndsTheBackendWhateverItsState) {
  EXPECT_TRUE(EndsBackend({.severity = "FATAL", .code = "42501"}));
  EXPECT_TRUE(EndsBackend({.severity = "ERROR", .code = "08006"}));
  EXPECT_FALSE(EndsBackend({.severity = "ERROR", .code = "42P01"}));
}

}  // namespace
}  // namespace multigres::mterrors
