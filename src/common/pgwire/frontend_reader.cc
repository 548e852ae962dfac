#include "common/pgwire/frontend.h"

namespace multigres::pgwire {

namespace {

std::unexpected<Error> Violation(std::string message) {
  return Fail(Code::kInvalidArgument, "08P01", std::move(message));
}

// The value if the reader has come to the message's end in good order.
template <class T>
Result<T> Finished(const WireReader& reader, std::string_view name, T value) {
  auto done = reader.Done(name);
  if (!done) return std::unexpected(std::move(done.error()));
  return value;
}

Result<TargetMessage> ReadTarget(std::string_view body, std::string_view name, std::string_view upper_name) {
  WireReader reader(body);
  TargetMessage message;
  message.kind = static_cast<char>(reader.Byte());
  message.name = reader.CString();
  auto finished = Finished(reader, name, message);
  if (finished && message.kind != 'S' && message.kind != 'P') {
    return Violation("invalid " + std::string(upper_name) + " message subtype " +
                     std::to_string(static_cast<unsigned char>(message.kind)));
  }
  return finished;
}

}  // namespace

Result<std::string_view> ReadQuery(std::string_view body) {
  WireReader reader(body);
  const auto text = reader.CString();
  return Finished(reader, "Query", text);
}

Result<ParseMessage> ReadParse(std::string_view body) {
  WireReader reader(body);
  ParseMessage message;
  message.name = reader.CString();
  message.query = reader.CString();
  message.parameter_oids = ReadInt32List(reader);
  return Finished(reader, "Parse", message);
}

Result<BindMessage> ReadBind(std::string_view body) {
  WireReader reader(body);
  BindMessage message;
  message.portal = reader.CString();
  message.statement = reader.CString();
  message.parameter_formats = ReadInt16List(reader);
  message.parameters = ReadFieldList(reader);
  message.result_formats = ReadInt16List(reader);
  auto finished = Finished(reader, "Bind", message);
  const std::size_t formats = message.parameter_formats.size();
  if (finished && formats > 1 && formats != message.parameters.size()) {
    return Violation("bind message has " + std::to_string(formats) + " parameter formats but " +
                     std::to_string(message.parameters.size()) + " parameters");
  }
  return finished;
}

Result<TargetMessage> ReadDescribe(std::string_view body) {
  return ReadTarget(body, "Describe", "DESCRIBE");
}

Result<TargetMessage> ReadClose(std::string_view body) {
  return ReadTarget(body, "Close", "CLOSE");
}

Result<ExecuteMessage> ReadExecute(std::string_view body) {
  WireReader reader(body);
  ExecuteMessage message;
  message.portal = reader.CString();
  message.max_rows = static_cast<std::int32_t>(reader.Int32());
  return Finished(reader, "Execute", message);
}

Result<std::string_view> ReadCopyFail(std::string_view body) {
  WireReader reader(body);
  const auto reason = reader.CString();
  return Finished(reader, "CopyFail", reason);
}

Result<std::string_view> ReadPassword(std::string_view body) {
  WireReader reader(body);
  const auto password = reader.CString();
  return Finished(reader, "Password", password);
}

Result<SaslInitialResponse> ReadSaslInitialResponse(std::string_view body) {
  WireReader reader(body);
  SaslInitialResponse message;
  message.mechanism = reader.CString();
  message.data = reader.Field();
  return Finished(reader, "SASLInitialResponse", message);
}

Result<FunctionCallMessage> ReadFunctionCall(std::string_view body) {
  WireReader reader(body);
  FunctionCallMessage message;
  message.function_oid = reader.Int32();
  message.argument_formats = ReadInt16List(reader);
  message.arguments = ReadFieldList(reader);
  message.result_format = reader.Int16();
  return Finished(reader, "FunctionCall", message);
}

Result<> ReadEmpty(std::string_view body, std::string_view name) {
  return WireReader(body).Done(name);
}

}  // namespace multigres::pgwire
