#include "common/pgwire/frontend.h"

namespace multigres::pgwire {

namespace {

void WriteEmpty(WireWriter& out, FrontendType type) {
  out.Begin(type);
  out.End();
}

void WriteTarget(WireWriter& out, FrontendType type, char kind, std::string_view name) {
  out.Begin(type);
  out.Byte(kind);
  out.CString(name);
  out.End();
}

void WriteInt16List(WireWriter& out, std::span<const std::uint16_t> values) {
  out.Int16(static_cast<std::uint16_t>(values.size()));
  for (const auto value : values) out.Int16(value);
}

void WriteFieldList(WireWriter& out, std::span<const std::optional<std::string_view>> fields) {
  out.Int16(static_cast<std::uint16_t>(fields.size()));
  for (const auto& field : fields) out.Field(field);
}

}  // namespace

void WriteQuery(WireWriter& out, std::string_view sql) {
  out.Begin(kQuery);
  out.CString(sql);
  out.End();
}

void WriteParse(WireWriter& out, std::string_view name, std::string_view query,
                std::span<const std::uint32_t> parameter_oids) {
  out.Begin(kParse);
  out.CString(name);
  out.CString(query);
  out.Int16(static_cast<std::uint16_t>(parameter_oids.size()));
  for (const auto oid : parameter_oids) out.Int32(oid);
  out.End();
}

void WriteBind(WireWriter& out, const BindTarget& target, std::span<const std::optional<std::string_view>> parameters) {
  out.Begin(kBind);
  out.CString(target.portal);
  out.CString(target.statement);
  WriteInt16List(out, target.parameter_formats);
  WriteFieldList(out, parameters);
  WriteInt16List(out, target.result_formats);
  out.End();
}

void WriteDescribe(WireWriter& out, char kind, std::string_view name) {
  WriteTarget(out, kDescribe, kind, name);
}

void WriteExecute(WireWriter& out, std::string_view portal, std::int32_t max_rows) {
  out.Begin(kExecute);
  out.CString(portal);
  out.Int32(static_cast<std::uint32_t>(max_rows));
  out.End();
}

void WriteClose(WireWriter& out, char kind, std::string_view name) {
  WriteTarget(out, kClose, kind, name);
}

void WriteFlush(WireWriter& out) {
  WriteEmpty(out, kFlush);
}

void WriteSync(WireWriter& out) {
  WriteEmpty(out, kSync);
}

void WriteTerminate(WireWriter& out) {
  WriteEmpty(out, kTerminate);
}

void WritePassword(WireWriter& out, std::string_view password) {
  out.Begin(kPassword);
  out.CString(password);
  out.End();
}

void WriteSaslInitialResponse(WireWriter& out, std::string_view mechanism, std::optional<std::string_view> data) {
  out.Begin(kPassword);
  out.CString(mechanism);
  out.Field(data);
  out.End();
}

void WriteSaslResponse(WireWriter& out, std::string_view data) {
  out.Begin(kPassword);
  out.Bytes(data);
  out.End();
}

void WriteCopyData(WireWriter& out, std::string_view data) {
  out.Begin(kCopyData);
  out.Bytes(data);
  out.End();
}

void WriteCopyDone(WireWriter& out) {
  WriteEmpty(out, kCopyDone);
}

void WriteCopyFail(WireWriter& out, std::string_view reason) {
  out.Begin(kCopyFail);
  out.CString(reason);
  out.End();
}

void WriteFunctionCall(WireWriter& out, std::uint32_t function_oid, std::span<const std::uint16_t> argument_formats,
                       std::span<const std::optional<std::string_view>> arguments, std::uint16_t result_format) {
  out.Begin(kFunctionCall);
  out.Int32(function_oid);
  WriteInt16List(out, argument_formats);
  WriteFieldList(out, arguments);
  out.Int16(result_format);
  out.End();
}

}  // namespace multigres::pgwire
