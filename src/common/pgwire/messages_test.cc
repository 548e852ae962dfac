#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/framing.h"
#include "common/pgwire/frontend.h"
#include "common/pgwire/startup.h"

namespace multigres::pgwire {
namespace {

using std::string_view_literals::operator""sv;

// The one frame in a writer.
Frame Only(const WireWriter& out) {
  auto frame = PeekFrame(out.view());
  EXPECT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->size(), out.size());
  return **frame;
}

std::vector<std::optional<std::string>> Values(const FieldList& fields) {
  std::vector<std::optional<std::string>> values;
  for (const auto field : fields) values.emplace_back(field);
  return values;
}

// Every shorter and every longer body than the good one must be refused with this text.
template <class Read>
void ExpectExactLength(std::string_view body, Read read, std::string_view text) {
  EXPECT_TRUE(read(body)) << text;
  for (std::size_t size = 0; size < body.size(); ++size) {
    auto result = read(body.substr(0, size));
    ASSERT_FALSE(result) << text << " cut to " << size;
    EXPECT_EQ(result.error().sqlstate(), "08P01");
    EXPECT_EQ(result.error().message(), text);
  }
  auto longer = read(std::string(body) + "x");
  ASSERT_FALSE(longer) << text << " with a byte too many";
  EXPECT_EQ(longer.error().message(), text);
}

TEST(Frontend, QueryRoundTrip) {
  WireWriter out;
  WriteQuery(out, "SELECT 1");
  EXPECT_EQ(out.view(), "Q\0\0\0\x0dSELECT 1\0"sv);
  const Frame frame = Only(out);
  EXPECT_EQ(ReadQuery(frame.body).value(), "SELECT 1");
  ExpectExactLength(frame.body, ReadQuery, "invalid Query message");
}

TEST(Frontend, ParseRoundTrip) {
  WireWriter out;
  const std::uint32_t oids[] = {23, 0xfffffffe};
  WriteParse(out, "s1", "SELECT $1", oids);
  const Frame frame = Only(out);
  const auto message = ReadParse(frame.body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->name, "s1");
  EXPECT_EQ(message->query, "SELECT $1");
  ASSERT_EQ(message->parameter_oids.size(), 2u);
  EXPECT_EQ(message->parameter_oids[0], 23u);
  EXPECT_EQ(message->parameter_oids[1], 0xfffffffeu);
  ExpectExactLength(frame.body, ReadParse, "invalid Parse message");
}

TEST(Frontend, BindRoundTripWithNullEmptyAndBinary) {
  WireWriter out;
  const std::uint16_t formats[] = {0, 1, 0};
  const std::uint16_t results[] = {1};
  const std::optional<std::string_view> parameters[] = {"text", "\0\1"sv, std::nullopt};
  WriteBind(out, {"p", "s", formats, results}, parameters);
  const Frame frame = Only(out);
  const auto message = ReadBind(frame.body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->portal, "p");
  EXPECT_EQ(message->statement, "s");
  EXPECT_EQ(message->parameter_formats[1], 1);
  EXPECT_EQ(message->result_formats.size(), 1u);
  EXPECT_THAT(Values(message->parameters), testing::ElementsAre("text", std::string("\0\1", 2), std::nullopt));
  ExpectExactLength(frame.body, ReadBind, "invalid Bind message");
}

TEST(Frontend, BindWithTheWrongNumberOfFormatsIsRefusedInPostgresWords) {
  WireWriter out;
  const std::uint16_t formats[] = {0, 1};
  const std::optional<std::string_view> parameters[] = {"a", "b", "c"};
  WriteBind(out, {"", "", formats, {}}, parameters);
  const auto message = ReadBind(Only(out).body);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().message(), "bind message has 2 parameter formats but 3 parameters");
}

TEST(Frontend, CountsAreUnsigned) {
  WireWriter out;
  const std::vector<std::optional<std::string_view>> parameters(65535, "x");
  WriteBind(out, {}, parameters);
  const auto message = ReadBind(Only(out).body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->parameters.size(), 65535u);
}

TEST(Frontend, NegativeLengthOtherThanNullIsRefused) {
  const auto message = ReadBind("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"sv);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().message(), "invalid Bind message");
}

TEST(Frontend, DescribeCloseExecuteRoundTrip) {
  WireWriter out;
  WriteDescribe(out, 'P', "portal");
  auto described = ReadDescribe(Only(out).body);
  ASSERT_TRUE(described);
  EXPECT_EQ(described->kind, 'P');
  EXPECT_EQ(described->name, "portal");
  ExpectExactLength(Only(out).body, ReadDescribe, "invalid Describe message");
  out.Clear();
  WriteClose(out, 'S', "");
  EXPECT_EQ(ReadClose(Only(out).body).value().kind, 'S');
  ExpectExactLength(Only(out).body, ReadClose, "invalid Close message");
  out.Clear();
  WriteExecute(out, "portal", -1);
  EXPECT_EQ(ReadExecute(Only(out).body).value().max_rows, -1);
  ExpectExactLength(Only(out).body, ReadExecute, "invalid Execute message");
  EXPECT_EQ(ReadDescribe("Xname\0"sv).error().message(), "invalid DESCRIBE message subtype 88");
  EXPECT_EQ(ReadClose("Xname\0"sv).error().message(), "invalid CLOSE message subtype 88");
}

TEST(Frontend, SaslRoundTrip) {
  WireWriter out;
  WriteSaslInitialResponse(out, "SCRAM-SHA-256", "n,,n=,r=abc");
  const auto message = ReadSaslInitialResponse(Only(out).body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(message->data, "n,,n=,r=abc");
  ExpectExactLength(Only(out).body, ReadSaslInitialResponse, "invalid SASLInitialResponse message");
  out.Clear();
  WriteSaslInitialResponse(out, "SCRAM-SHA-256", std::nullopt);
  EXPECT_EQ(ReadSaslInitialResponse(Only(out).body).value().data, std::nullopt);
  out.Clear();
  WriteSaslResponse(out, "c=biws");
  EXPECT_EQ(Only(out).body, "c=biws");
  out.Clear();
  WritePassword(out, "secret");
  EXPECT_EQ(ReadPassword(Only(out).body).value(), "secret");
}

TEST(Frontend, MessagesWithoutABody) {
  WireWriter out;
  WriteFlush(out);
  WriteSync(out);
  WriteTerminate(out);
  WriteCopyDone(out);
  EXPECT_EQ(out.view(), "H\0\0\0\4S\0\0\0\4X\0\0\0\4c\0\0\0\4"sv);
  EXPECT_TRUE(ReadEmpty("", "Sync"));
  EXPECT_EQ(ReadEmpty("x", "Sync").error().message(), "invalid Sync message");
}

TEST(Frontend, CopyAndFunctionCallRoundTrip) {
  WireWriter out;
  WriteCopyFail(out, "no more");
  EXPECT_EQ(ReadCopyFail(Only(out).body).value(), "no more");
  out.Clear();
  WriteCopyData(out, "1\t2\n");
  EXPECT_EQ(Only(out).body, "1\t2\n");
  out.Clear();
  const std::optional<std::string_view> arguments[] = {"1", std::nullopt};
  WriteFunctionCall(out, 1234, {}, arguments, 1);
  const auto call = ReadFunctionCall(Only(out).body);
  ASSERT_TRUE(call);
  EXPECT_EQ(call->function_oid, 1234u);
  EXPECT_EQ(call->result_format, 1);
  EXPECT_THAT(Values(call->arguments), testing::ElementsAre("1", std::nullopt));
  ExpectExactLength(Only(out).body, ReadFunctionCall, "invalid FunctionCall message");
}

TEST(Backend, AuthenticationRoundTrip) {
  WireWriter out;
  WriteAuthenticationOk(out);
  EXPECT_EQ(ReadAuthentication(Only(out).body).value().code, AuthenticationCode::kOk);
  out.Clear();
  const std::string_view mechanisms[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
  WriteAuthenticationSasl(out, mechanisms);
  const auto sasl = ReadAuthentication(Only(out).body);
  ASSERT_TRUE(sasl);
  EXPECT_EQ(sasl->code, AuthenticationCode::kSasl);
  EXPECT_THAT(sasl->mechanisms, testing::ElementsAre("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"));
  ExpectExactLength(Only(out).body, ReadAuthentication, "invalid Authentication message");
  out.Clear();
  WriteAuthenticationSaslContinue(out, "r=1");
  EXPECT_EQ(ReadAuthentication(Only(out).body).value().data, "r=1");
  out.Clear();
  WriteAuthenticationSaslFinal(out, "v=1");
  EXPECT_EQ(ReadAuthentication(Only(out).body).value().code, AuthenticationCode::kSaslFinal);
}

TEST(Backend, SessionMessagesRoundTrip) {
  WireWriter out;
  WriteParameterStatus(out, "TimeZone", "UTC");
  const auto parameter = ReadParameterStatus(Only(out).body);
  ASSERT_TRUE(parameter);
  EXPECT_EQ(parameter->name, "TimeZone");
  EXPECT_EQ(parameter->value, "UTC");
  ExpectExactLength(Only(out).body, ReadParameterStatus, "invalid ParameterStatus message");
  out.Clear();
  WriteReadyForQuery(out, TransactionStatus::kFailed);
  EXPECT_EQ(ReadReadyForQuery(Only(out).body).value(), TransactionStatus::kFailed);
  EXPECT_FALSE(ReadReadyForQuery("x"));
  EXPECT_FALSE(ReadReadyForQuery(""));
  out.Clear();
  WriteNotificationResponse(out, 77, "channel", "payload");
  const auto notification = ReadNotificationResponse(Only(out).body);
  ASSERT_TRUE(notification);
  EXPECT_EQ(notification->process_id, 77);
  EXPECT_EQ(notification->channel, "channel");
  EXPECT_EQ(notification->payload, "payload");
  ExpectExactLength(Only(out).body, ReadNotificationResponse, "invalid NotificationResponse message");
}

TEST(Backend, CancelKeysHaveFourTo256Bytes) {
  for (const std::size_t size : {4u, 32u, 256u}) {
    WireWriter out;
    WriteBackendKeyData(out, -5, std::string(size, 'k'));
    const auto key = ReadBackendKeyData(Only(out).body);
    ASSERT_TRUE(key) << size;
    EXPECT_EQ(key->process_id, -5);
    EXPECT_EQ(key->secret_key.size(), size);
  }
  for (const std::size_t size : {0u, 3u, 257u}) {
    WireWriter out;
    WriteBackendKeyData(out, 5, std::string(size, 'k'));
    EXPECT_EQ(ReadBackendKeyData(Only(out).body).error().message(), "invalid BackendKeyData message");
  }
}

TEST(Backend, RowDescriptionRoundTrip) {
  WireWriter out;
  const FieldDescription fields[] = {{"id", 16384, 1, 23, 4, -1, 0}, {"name", 16384, 2, 1043, -1, 36, 1}};
  WriteRowDescription(out, fields);
  const auto read = ReadRowDescription(Only(out).body);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[1].name, "name");
  EXPECT_EQ((*read)[1].type_size, -1);
  EXPECT_EQ((*read)[1].type_modifier, 36);
  EXPECT_EQ((*read)[1].format, 1);
  EXPECT_EQ((*read)[0].table_oid, 16384u);
  ExpectExactLength(Only(out).body, ReadRowDescription, "invalid RowDescription message");
  out.Clear();
  WriteRowDescription(out, {});
  EXPECT_TRUE(ReadRowDescription(Only(out).body).value().empty());
}

TEST(Backend, DataRowRoundTrip) {
  WireWriter out;
  const std::optional<std::string_view> columns[] = {"1", std::nullopt, "", "long enough"};
  WriteDataRow(out, columns);
  const auto row = ReadDataRow(Only(out).body);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->size(), 4u);
  EXPECT_THAT(Values(*row), testing::ElementsAre("1", std::nullopt, "", "long enough"));
  ExpectExactLength(Only(out).body, ReadDataRow, "invalid DataRow message");
}

TEST(Backend, StatementMessagesRoundTrip) {
  WireWriter out;
  WriteCommandComplete(out, "SELECT 1");
  EXPECT_EQ(ReadCommandComplete(Only(out).body).value(), "SELECT 1");
  ExpectExactLength(Only(out).body, ReadCommandComplete, "invalid CommandComplete message");
  out.Clear();
  const std::uint32_t oids[] = {25, 23};
  WriteParameterDescription(out, oids);
  EXPECT_EQ(ReadParameterDescription(Only(out).body).value()[1], 23u);
  ExpectExactLength(Only(out).body, ReadParameterDescription, "invalid ParameterDescription message");
  out.Clear();
  WriteEmptyQueryResponse(out);
  WriteNoData(out);
  WriteParseComplete(out);
  WriteBindComplete(out);
  WriteCloseComplete(out);
  WritePortalSuspended(out);
  EXPECT_EQ(out.view(),
            "I\0\0\0\4n\0\0\0\4"
            "1\0\0\0\4"
            "2\0\0\0\4"
            "3\0\0\0\4s\0\0\0\4"sv);
}

TEST(Backend, CopyResponsesRoundTrip) {
  for (const auto type : {kCopyInResponse, kCopyOutResponse, kCopyBothResponse}) {
    WireWriter out;
    const std::uint16_t formats[] = {1, 1, 0};
    WriteCopyResponse(out, type, 1, formats);
    EXPECT_EQ(Only(out).type, type);
    const auto response = ReadCopyResponse(Only(out).body);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->format, 1);
    EXPECT_EQ(response->column_formats.size(), 3u);
    ExpectExactLength(Only(out).body, ReadCopyResponse, "invalid CopyResponse message");
  }
}

TEST(Backend, NegotiateProtocolVersionRoundTrip) {
  WireWriter out;
  const std::string_view names[] = {"_pq_.a", "_pq_.b"};
  WriteNegotiateProtocolVersion(out, kProtocol32, names);
  const auto message = ReadNegotiateProtocolVersion(Only(out).body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->version, kProtocol32);
  EXPECT_THAT(message->unrecognized, testing::ElementsAre("_pq_.a", "_pq_.b"));
  ExpectExactLength(Only(out).body, ReadNegotiateProtocolVersion, "invalid NegotiateProtocolVersion message");
  // A count that the message can't hold costs nothing.
  EXPECT_FALSE(ReadNegotiateProtocolVersion("\0\3\0\2\xff\xff\xff\xff"sv));
}

TEST(Diagnostic, EveryFieldRoundTrips) {
  PgDiagnostic diagnostic;
  diagnostic.severity = "ERROR";
  diagnostic.code = "23505";
  diagnostic.message = "duplicate key";
  diagnostic.detail = "d";
  diagnostic.hint = "h";
  diagnostic.position = 7;
  diagnostic.internal_position = 8;
  diagnostic.internal_query = "q";
  diagnostic.where = "w";
  diagnostic.schema_name = "s";
  diagnostic.table_name = "t";
  diagnostic.column_name = "c";
  diagnostic.data_type_name = "dt";
  diagnostic.constraint_name = "cn";
  WireWriter out;
  WriteDiagnostic(out, diagnostic);
  EXPECT_EQ(Only(out).type, 'E');
  const auto read = ReadDiagnostic('E', Only(out).body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->severity, "ERROR");
  EXPECT_EQ(read->code, "23505");
  EXPECT_EQ(read->message, "duplicate key");
  EXPECT_EQ(read->detail, "d");
  EXPECT_EQ(read->hint, "h");
  EXPECT_EQ(read->position, 7);
  EXPECT_EQ(read->internal_position, 8);
  EXPECT_EQ(read->internal_query, "q");
  EXPECT_EQ(read->where, "w");
  EXPECT_EQ(read->schema_name, "s");
  EXPECT_EQ(read->table_name, "t");
  EXPECT_EQ(read->column_name, "c");
  EXPECT_EQ(read->data_type_name, "dt");
  EXPECT_EQ(read->constraint_name, "cn");
  ExpectExactLength(
      Only(out).body, [](std::string_view body) { return ReadDiagnostic('E', body); }, "invalid ErrorResponse message");
}

TEST(Diagnostic, TakesTheUntranslatedSeverityAndDropsServerInternals) {
  const auto read = ReadDiagnostic('N', "SWARNUNG\0VWARNING\0C01000\0Mm\0Felog.c\0L12\0Rerrfinish\0Zunknown\0\0"sv);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->message_type, 'N');
  EXPECT_EQ(read->severity, "WARNING");
  WireWriter out;
  WriteDiagnostic(out, *read);
  EXPECT_EQ(Only(out).type, 'N');
  EXPECT_EQ(Only(out).body, "SWARNING\0VWARNING\0C01000\0Mm\0\0"sv);
}

TEST(Diagnostic, OwnErrorsGetASqlstate) {
  const auto internal = DiagnosticOf(Error(Code::kInternal, "broken"), "FATAL");
  EXPECT_EQ(internal.code, "XX000");
  EXPECT_EQ(internal.severity, "FATAL");
  EXPECT_TRUE(EndsSession(internal));
  const auto stated = DiagnosticOf(Error(Code::kUnavailable, "57P03", "try again"));
  EXPECT_EQ(stated.code, "57P03");
  EXPECT_EQ(stated.severity, "ERROR");
  EXPECT_FALSE(EndsSession(stated));
}

TEST(Startup, MessageRoundTrip) {
  WireWriter out;
  const StartupParameter parameters[] = {{"user", "alice"}, {"database", "db"}, {"_pq_.x", ""}};
  WriteStartupMessage(out, kProtocol32, parameters);
  const auto packet = PeekStartupPacket(out.view());
  ASSERT_TRUE(packet && *packet);
  const auto read = ReadStartupPacket(**packet);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, StartupKind::kStartup);
  EXPECT_EQ(read->protocol_version, kProtocol32);
  EXPECT_THAT(read->parameters, testing::ElementsAre(std::pair("user"sv, "alice"sv), std::pair("database"sv, "db"sv),
                                                     std::pair("_pq_.x"sv, ""sv)));
}

TEST(Startup, RequestsRoundTrip) {
  WireWriter out;
  WriteSslRequest(out);
  EXPECT_EQ(ReadStartupPacket(PeekStartupPacket(out.view()).value().value()).value().kind, StartupKind::kSslRequest);
  out.Clear();
  WriteGssencRequest(out);
  EXPECT_EQ(ReadStartupPacket(PeekStartupPacket(out.view()).value().value()).value().kind, StartupKind::kGssencRequest);
  for (const std::size_t size : {4u, 32u, 256u}) {
    out.Clear();
    WriteCancelRequest(out, 4711, std::string(size, 'k'));
    const auto packet = ReadStartupPacket(PeekStartupPacket(out.view()).value().value());
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->kind, StartupKind::kCancelRequest);
    EXPECT_EQ(packet->process_id, 4711);
    EXPECT_EQ(packet->secret_key.size(), size);
  }
}

TEST(Startup, RefusesBadPackets) {
  const auto text = [](std::string_view packet) { return ReadStartupPacket(packet).error().message(); };
  const auto layout = "invalid startup packet layout: expected terminator as last byte";
  EXPECT_EQ(text("\0\3\0\0user\0alice\0"sv), layout);
  EXPECT_EQ(text("\0\3\0\0user\0alice"sv), layout);
  EXPECT_EQ(text("\0\3\0\0user\0alice\0\0more"sv), layout);
  EXPECT_EQ(text("\x04\xd2\x16\x2e\0\0\0\1key"sv), "invalid length of cancel request packet");
  EXPECT_EQ(text(std::string("\x04\xd2\x16\x2e\0\0\0\1", 8) + std::string(257, 'k')),
            "invalid length of cancel key in cancel request packet");
  EXPECT_EQ(text("\x04\xd2\x16\x2fx"sv), "invalid SSLRequest message");
}

TEST(Startup, AnotherMajorVersionIsLeftToTheCaller) {
  const auto packet = ReadStartupPacket("\0\2\0\0whatever"sv);
  ASSERT_TRUE(packet);
  EXPECT_EQ(MajorOf(packet->protocol_version), 2);
  EXPECT_TRUE(packet->parameters.empty());
}

}  // namespace
}  // namespace multigres::pgwire
