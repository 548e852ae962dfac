// What a client may send: a startup packet first, then messages. Whatever is read must be whole views into the input,
// and what reads well must read the same after it has been written again.
#include <cstddef>
#include <cstdint>

#include "common/pgwire/framing.h"
#include "common/pgwire/frontend.h"
#include "common/pgwire/startup.h"
#include "tools/result/check.h"

namespace multigres::pgwire {
namespace {

std::vector<std::uint16_t> ToVector(const Int16List& list) {
  std::vector<std::uint16_t> values;
  for (std::size_t i = 0; i < list.size(); ++i) values.push_back(list[i]);
  return values;
}

void CheckBind(std::string_view body) {
  const auto bind = ReadBind(body);
  if (!bind) return;
  std::vector<std::optional<std::string_view>> parameters(bind->parameters.begin(), bind->parameters.end());
  CHECK(parameters.size() == bind->parameters.size());
  const auto formats = ToVector(bind->parameter_formats);
  const auto results = ToVector(bind->result_formats);
  WireWriter out;
  WriteBind(out, {bind->portal, bind->statement, formats, results}, parameters);
  CHECK(out.view().substr(kFrameHeaderSize) == body);
}

void CheckParse(std::string_view body) {
  const auto parse = ReadParse(body);
  if (!parse) return;
  std::vector<std::uint32_t> oids;
  for (std::size_t i = 0; i < parse->parameter_oids.size(); ++i) oids.push_back(parse->parameter_oids[i]);
  WireWriter out;
  WriteParse(out, parse->name, parse->query, oids);
  CHECK(out.view().substr(kFrameHeaderSize) == body);
}

void CheckFunctionCall(std::string_view body) {
  const auto call = ReadFunctionCall(body);
  if (!call) return;
  std::vector<std::optional<std::string_view>> arguments(call->arguments.begin(), call->arguments.end());
  WireWriter out;
  WriteFunctionCall(out, call->function_oid, ToVector(call->argument_formats), arguments, call->result_format);
  CHECK(out.view().substr(kFrameHeaderSize) == body);
}

void CheckMessage(const Frame& frame) {
  switch (frame.type) {
    case kQuery:
      (void)ReadQuery(frame.body);
      break;
    case kParse:
      CheckParse(frame.body);
      break;
    case kBind:
      CheckBind(frame.body);
      break;
    case kDescribe:
      (void)ReadDescribe(frame.body);
      break;
    case kClose:
      (void)ReadClose(frame.body);
      break;
    case kExecute:
      (void)ReadExecute(frame.body);
      break;
    case kCopyFail:
      (void)ReadCopyFail(frame.body);
      break;
    case kFunctionCall:
      CheckFunctionCall(frame.body);
      break;
    case kPassword:
      (void)ReadPassword(frame.body);
      (void)ReadSaslInitialResponse(frame.body);
      break;
    default:
      (void)ReadEmpty(frame.body, "Sync");
      break;
  }
}

}  // namespace
}  // namespace multigres::pgwire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multigres::pgwire;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto startup = PeekStartupPacket(input);
  if (startup && *startup) {
    const auto packet = ReadStartupPacket(**startup);
    if (packet && packet->kind == StartupKind::kStartup && MajorOf(packet->protocol_version) == 3) {
      WireWriter out;
      WriteStartupMessage(out, packet->protocol_version, packet->parameters);
      CHECK(out.view().substr(4) == **startup);
    }
    input.remove_prefix((*startup)->size() + 4);
  }
  while (true) {
    const auto frame = PeekFrame(input, 1 << 20);
    if (!frame || !*frame) break;
    CheckMessage(**frame);
    input.remove_prefix((*frame)->size());
  }
  return 0;
}
