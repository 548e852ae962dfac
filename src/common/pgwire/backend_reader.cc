#include "common/pgwire/backend.h"

namespace multigres::pgwire {

namespace {

template <class T>
Result<T> Finished(const WireReader& reader, std::string_view name, T value) {
  auto done = reader.Done(name);
  if (!done) return std::unexpected(std::move(done.error()));
  return value;
}

}  // namespace

Result<Authentication> ReadAuthentication(std::string_view body) {
  WireReader reader(body);
  Authentication message;
  message.code = static_cast<AuthenticationCode>(reader.Int32());
  if (message.code == AuthenticationCode::kSasl) {
    while (true) {
      const auto mechanism = reader.CString();
      if (mechanism.empty()) break;  // the list's end, or no such end
      message.mechanisms.push_back(mechanism);
    }
  } else if (reader.ok()) {
    message.data = reader.Rest();
  }
  return Finished(reader, "Authentication", std::move(message));
}

Result<ParameterStatus> ReadParameterStatus(std::string_view body) {
  WireReader reader(body);
  ParameterStatus message;
  message.name = reader.CString();
  message.value = reader.CString();
  return Finished(reader, "ParameterStatus", message);
}

Result<BackendKeyData> ReadBackendKeyData(std::string_view body) {
  WireReader reader(body);
  BackendKeyData message;
  message.process_id = static_cast<std::int32_t>(reader.Int32());
  message.secret_key = reader.Rest();
  if (message.secret_key.size() < kMinCancelKey || message.secret_key.size() > kMaxCancelKey) reader.FailNow();
  return Finished(reader, "BackendKeyData", message);
}

Result<TransactionStatus> ReadReadyForQuery(std::string_view body) {
  WireReader reader(body);
  const char status = static_cast<char>(reader.Byte());
  if (status != 'I' && status != 'T' && status != 'E') reader.FailNow();
  return Finished(reader, "ReadyForQuery", static_cast<TransactionStatus>(status));
}

Result<std::vector<FieldDescription>> ReadRowDescription(std::string_view body) {
  constexpr std::size_t kSmallestField = 19;
  WireReader reader(body);
  const std::size_t count = reader.Int16();
  std::vector<FieldDescription> fields;
  if (count * kSmallestField > reader.remaining()) {
    reader.FailNow();
  } else {
    fields.reserve(count);
  }
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    auto& field = fields.emplace_back();
    field.name = reader.CString();
    field.table_oid = reader.Int32();
    field.column_number = reader.Int16();
    field.type_oid = reader.Int32();
    field.type_size = static_cast<std::int16_t>(reader.Int16());
    field.type_modifier = static_cast<std::int32_t>(reader.Int32());
    field.format = reader.Int16();
  }
  return Finished(reader, "RowDescription", std::move(fields));
}

Result<FieldList> ReadDataRow(std::string_view body) {
  WireReader reader(body);
  const auto fields = ReadFieldList(reader);
  return Finished(reader, "DataRow", fields);
}

Result<std::string_view> ReadCommandComplete(std::string_view body) {
  WireReader reader(body);
  const auto tag = reader.CString();
  return Finished(reader, "CommandComplete", tag);
}

Result<Int32List> ReadParameterDescription(std::string_view body) {
  WireReader reader(body);
  const auto oids = ReadInt32List(reader);
  return Finished(reader, "ParameterDescription", oids);
}

Result<NotificationResponse> ReadNotificationResponse(std::string_view body) {
  WireReader reader(body);
  NotificationResponse message;
  message.process_id = static_cast<std::int32_t>(reader.Int32());
  message.channel = reader.CString();
  message.payload = reader.CString();
  return Finished(reader, "NotificationResponse", message);
}

Result<CopyResponse> ReadCopyResponse(std::string_view body) {
  WireReader reader(body);
  CopyResponse message;
  message.format = reader.Byte();
  message.column_formats = ReadInt16List(reader);
  return Finished(reader, "CopyResponse", message);
}

Result<ProtocolNegotiation> ReadNegotiateProtocolVersion(std::string_view body) {
  WireReader reader(body);
  ProtocolNegotiation message;
  message.version = reader.Int32();
  const std::uint32_t count = reader.Int32();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) message.unrecognized.push_back(reader.CString());
  return Finished(reader, "NegotiateProtocolVersion", std::move(message));
}

Result<std::optional<std::string_view>> ReadFunctionCallResponse(std::string_view body) {
  WireReader reader(body);
  const auto value = reader.Field();
  return Finished(reader, "FunctionCallResponse", value);
}

}  // namespace multigres::pgwire
