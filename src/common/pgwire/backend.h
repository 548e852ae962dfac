// The messages that a backend sends (ErrorResponse and NoticeResponse: diagnostic.h): readers for clients, builders for
// servers. Readers take a message's body and give views into it; what doesn't add up is 08P01 `invalid <Msg> message`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/pgwire/protocol.h"
#include "common/pgwire/wire_reader.h"
#include "common/pgwire/wire_writer.h"

namespace multigres::pgwire {

struct Authentication {
  AuthenticationCode code = AuthenticationCode::kOk;
  std::string_view data;                     // SASLContinue, SASLFinal, MD5's salt, GSSContinue
  std::vector<std::string_view> mechanisms;  // SASL
};

struct ParameterStatus {
  std::string_view name;
  std::string_view value;
};

struct BackendKeyData {
  std::int32_t process_id = 0;
  std::string_view secret_key;  // 4 to 256 bytes
};

struct FieldDescription {
  std::string_view name;
  std::uint32_t table_oid = 0;
  std::uint16_t column_number = 0;
  std::uint32_t type_oid = 0;
  std::int16_t type_size = 0;
  std::int32_t type_modifier = -1;
  std::uint16_t format = 0;
};

struct NotificationResponse {
  std::int32_t process_id = 0;
  std::string_view channel;
  std::string_view payload;
};

// CopyInResponse, CopyOutResponse, CopyBothResponse.
struct CopyResponse {
  std::uint8_t format = 0;  // 0 text, 1 binary
  Int16List column_formats;
};

struct ProtocolNegotiation {
  std::uint32_t version = 0;                   // the newest that the server speaks, major in the upper half
  std::vector<std::string_view> unrecognized;  // names of options
};

Result<Authentication> ReadAuthentication(std::string_view body);
Result<ParameterStatus> ReadParameterStatus(std::string_view body);
Result<BackendKeyData> ReadBackendKeyData(std::string_view body);
Result<TransactionStatus> ReadReadyForQuery(std::string_view body);
Result<std::vector<FieldDescription>> ReadRowDescription(std::string_view body);
Result<FieldList> ReadDataRow(std::string_view body);
Result<std::string_view> ReadCommandComplete(std::string_view body);
Result<Int32List> ReadParameterDescription(std::string_view body);
Result<NotificationResponse> ReadNotificationResponse(std::string_view body);
Result<CopyResponse> ReadCopyResponse(std::string_view body);
Result<ProtocolNegotiation> ReadNegotiateProtocolVersion(std::string_view body);
// NULL = nothing.
Result<std::optional<std::string_view>> ReadFunctionCallResponse(std::string_view body);

void WriteAuthenticationOk(WireWriter& out);
void WriteAuthenticationSasl(WireWriter& out, std::span<const std::string_view> mechanisms);
void WriteAuthenticationSaslContinue(WireWriter& out, std::string_view data);
void WriteAuthenticationSaslFinal(WireWriter& out, std::string_view data);
void WriteParameterStatus(WireWriter& out, std::string_view name, std::string_view value);
void WriteBackendKeyData(WireWriter& out, std::int32_t process_id, std::string_view secret_key);
void WriteReadyForQuery(WireWriter& out, TransactionStatus status);
void WriteRowDescription(WireWriter& out, std::span<const FieldDescription> fields);
void WriteDataRow(WireWriter& out, std::span<const std::optional<std::string_view>> columns);
void WriteCommandComplete(WireWriter& out, std::string_view tag);
void WriteEmptyQueryResponse(WireWriter& out);
void WriteNoData(WireWriter& out);
void WriteParameterDescription(WireWriter& out, std::span<const std::uint32_t> type_oids);
void WriteParseComplete(WireWriter& out);
void WriteBindComplete(WireWriter& out);
void WriteCloseComplete(WireWriter& out);
void WritePortalSuspended(WireWriter& out);
void WriteNotificationResponse(WireWriter& out, std::int32_t process_id, std::string_view channel,
                               std::string_view payload);
// `type` is kCopyInResponse, kCopyOutResponse or kCopyBothResponse. CopyData and CopyDone: frontend.h.
void WriteCopyResponse(WireWriter& out, BackendType type, std::uint8_t format,
                       std::span<const std::uint16_t> column_formats);
void WriteNegotiateProtocolVersion(WireWriter& out, std::uint32_t version,
                                   std::span<const std::string_view> unrecognized);

}  // namespace multigres::pgwire
