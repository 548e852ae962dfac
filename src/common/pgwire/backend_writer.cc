#include "common/pgwire/backend.h"

namespace multigres::pgwire {

namespace {

void WriteEmpty(WireWriter& out, BackendType type) {
  out.Begin(type);
  out.End();
}

void WriteAuthentication(WireWriter& out, AuthenticationCode code, std::string_view data) {
  out.Begin(kAuthentication);
  out.Int32(static_cast<std::uint32_t>(code));
  out.Bytes(data);
  out.End();
}

}  // namespace

void WriteAuthenticationOk(WireWriter& out) {
  WriteAuthentication(out, AuthenticationCode::kOk, {});
}

void WriteAuthenticationSasl(WireWriter& out, std::span<const std::string_view> mechanisms) {
  out.Begin(kAuthentication);
  out.Int32(static_cast<std::uint32_t>(AuthenticationCode::kSasl));
  for (const auto mechanism : mechanisms) out.CString(mechanism);
  out.Byte('\0');
  out.End();
}

void WriteAuthenticationSaslContinue(WireWriter& out, std::string_view data) {
  WriteAuthentication(out, AuthenticationCode::kSaslContinue, data);
}

void WriteAuthenticationSaslFinal(WireWriter& out, std::string_view data) {
  WriteAuthentication(out, AuthenticationCode::kSaslFinal, data);
}

void WriteParameterStatus(WireWriter& out, std::string_view name, std::string_view value) {
  out.Begin(kParameterStatus);
  out.CString(name);
  out.CString(value);
  out.End();
}

void WriteBackendKeyData(WireWriter& out, std::int32_t process_id, std::string_view secret_key) {
  out.Begin(kBackendKeyData);
  out.Int32(static_cast<std::uint32_t>(process_id));
  out.Bytes(secret_key);
  out.End();
}

void WriteReadyForQuery(WireWriter& out, TransactionStatus status) {
  out.Begin(kReadyForQuery);
  out.Byte(static_cast<char>(status));
  out.End();
}

void WriteRowDescription(WireWriter& out, std::span<const FieldDescription> fields) {
  out.Begin(kRowDescription);
  out.Int16(static_cast<std::uint16_t>(fields.size()));
  for (const auto& field : fields) {
    out.CString(field.name);
    out.Int32(field.table_oid);
    out.Int16(field.column_number);
    out.Int32(field.type_oid);
    out.Int16(static_cast<std::uint16_t>(field.type_size));
    out.Int32(static_cast<std::uint32_t>(field.type_modifier));
    out.Int16(field.format);
  }
  out.End();
}

void WriteDataRow(WireWriter& out, std::span<const std::optional<std::string_view>> columns) {
  out.Begin(kDataRow);
  out.Int16(static_cast<std::uint16_t>(columns.size()));
  for (const auto& column : columns) out.Field(column);
  out.End();
}

void WriteCommandComplete(WireWriter& out, std::string_view tag) {
  out.Begin(kCommandComplete);
  out.CString(tag);
  out.End();
}

void WriteEmptyQueryResponse(WireWriter& out) {
  WriteEmpty(out, kEmptyQueryResponse);
}

void WriteNoData(WireWriter& out) {
  WriteEmpty(out, kNoData);
}

void WriteParameterDescription(WireWriter& out, std::span<const std::uint32_t> type_oids) {
  out.Begin(kParameterDescription);
  out.Int16(static_cast<std::uint16_t>(type_oids.size()));
  for (const auto oid : type_oids) out.Int32(oid);
  out.End();
}

void WriteParseComplete(WireWriter& out) {
  WriteEmpty(out, kParseComplete);
}

void WriteBindComplete(WireWriter& out) {
  WriteEmpty(out, kBindComplete);
}

void WriteCloseComplete(WireWriter& out) {
  WriteEmpty(out, kCloseComplete);
}

void WritePortalSuspended(WireWriter& out) {
  WriteEmpty(out, kPortalSuspended);
}

void WriteNotificationResponse(WireWriter& out, std::int32_t process_id, std::string_view channel,
                               std::string_view payload) {
  out.Begin(kNotificationResponse);
  out.Int32(static_cast<std::uint32_t>(process_id));
  out.CString(channel);
  out.CString(payload);
  out.End();
}

void WriteCopyResponse(WireWriter& out, BackendType type, std::uint8_t format,
                       std::span<const std::uint16_t> column_formats) {
  out.Begin(type);
  out.Byte(static_cast<char>(format));
  out.Int16(static_cast<std::uint16_t>(column_formats.size()));
  for (const auto column : column_formats) out.Int16(column);
  out.End();
}

void WriteNegotiateProtocolVersion(WireWriter& out, std::uint32_t version,
                                   std::span<const std::string_view> unrecognized) {
  out.Begin(kNegotiateProtocolVersion);
  out.Int32(version);
  out.Int32(static_cast<std::uint32_t>(unrecognized.size()));
  for (const auto name : unrecognized) out.CString(name);
  out.End();
}

}  // namespace multigres::pgwire
