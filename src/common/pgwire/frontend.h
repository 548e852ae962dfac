// The typed messages that a frontend sends: readers for servers, builders for clients.
// Readers take a message's body (Frame::body) and give views into it. A bad count, length or trailing byte is 08P01
// `invalid <Msg> message`. Flush, Sync, Terminate and CopyDone have an empty body: ReadEmpty().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/pgwire/protocol.h"
#include "common/pgwire/wire_reader.h"
#include "common/pgwire/wire_writer.h"

namespace multigres::pgwire {

struct ParseMessage {
  std::string_view name;  // empty = unnamed
  std::string_view query;
  Int32List parameter_oids;  // 0 = unspecified
};

struct BindMessage {
  std::string_view portal;
  std::string_view statement;
  Int16List parameter_formats;  // 0, 1 or as many as parameters; values are not judged here
  FieldList parameters;
  Int16List result_formats;
};

// Describe and Close: 'S' a statement, 'P' a portal.
struct TargetMessage {
  char kind = 'S';
  std::string_view name;
};

struct ExecuteMessage {
  std::string_view portal;
  std::int32_t max_rows = 0;  // <= 0: all
};

struct SaslInitialResponse {
  std::string_view mechanism;
  std::optional<std::string_view> data;
};

struct FunctionCallMessage {
  std::uint32_t function_oid = 0;
  Int16List argument_formats;
  FieldList arguments;
  std::uint16_t result_format = 0;
};

Result<std::string_view> ReadQuery(std::string_view body);
Result<ParseMessage> ReadParse(std::string_view body);
// Also 08P01 `bind message has N parameter formats but M parameters`.
Result<BindMessage> ReadBind(std::string_view body);
// Also 08P01 `invalid DESCRIBE message subtype N` / `invalid CLOSE message subtype N`.
Result<TargetMessage> ReadDescribe(std::string_view body);
Result<TargetMessage> ReadClose(std::string_view body);
Result<ExecuteMessage> ReadExecute(std::string_view body);
Result<std::string_view> ReadCopyFail(std::string_view body);
Result<std::string_view> ReadPassword(std::string_view body);
Result<SaslInitialResponse> ReadSaslInitialResponse(std::string_view body);
Result<FunctionCallMessage> ReadFunctionCall(std::string_view body);
// `name` for the error text: "Sync".
Result<> ReadEmpty(std::string_view body, std::string_view name);

void WriteQuery(WireWriter& out, std::string_view sql);
void WriteParse(WireWriter& out, std::string_view name, std::string_view query,
                std::span<const std::uint32_t> parameter_oids = {});

// What a Bind holds besides the parameters' values.
struct BindTarget {
  std::string_view portal;
  std::string_view statement;
  std::span<const std::uint16_t> parameter_formats;
  std::span<const std::uint16_t> result_formats;
};
void WriteBind(WireWriter& out, const BindTarget& target, std::span<const std::optional<std::string_view>> parameters);
void WriteDescribe(WireWriter& out, char kind, std::string_view name);
void WriteExecute(WireWriter& out, std::string_view portal, std::int32_t max_rows = 0);
void WriteClose(WireWriter& out, char kind, std::string_view name);
void WriteFlush(WireWriter& out);
void WriteSync(WireWriter& out);
void WriteTerminate(WireWriter& out);
void WritePassword(WireWriter& out, std::string_view password);
void WriteSaslInitialResponse(WireWriter& out, std::string_view mechanism, std::optional<std::string_view> data);
void WriteSaslResponse(WireWriter& out, std::string_view data);
// CopyData and CopyDone are alike in both directions.
void WriteCopyData(WireWriter& out, std::string_view data);
void WriteCopyDone(WireWriter& out);
void WriteCopyFail(WireWriter& out, std::string_view reason);
void WriteFunctionCall(WireWriter& out, std::uint32_t function_oid, std::span<const std::uint16_t> argument_formats,
                       std::span<const std::optional<std::string_view>> arguments, std::uint16_t result_format);

}  // namespace multigres::pgwire
