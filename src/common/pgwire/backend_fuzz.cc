// What a server may send. Readers must hold on any input; rows and diagnostics must survive being written again.
#include <cstddef>
#include <cstdint>

#include "common/pgwire/backend.h"
#include "common/pgwire/diagnostic.h"
#include "common/pgwire/framing.h"
#include "tools/result/check.h"

namespace multigres::pgwire {
namespace {

void CheckDataRow(std::string_view body) {
  const auto row = ReadDataRow(body);
  if (!row) return;
  std::vector<std::optional<std::string_view>> columns(row->begin(), row->end());
  CHECK(columns.size() == row->size());
  WireWriter out;
  WriteDataRow(out, columns);
  CHECK(out.view().substr(kFrameHeaderSize) == body);
}

void CheckRowDescription(std::string_view body) {
  const auto fields = ReadRowDescription(body);
  if (!fields) return;
  WireWriter out;
  WriteRowDescription(out, *fields);
  CHECK(out.view().substr(kFrameHeaderSize) == body);
}

void CheckDiagnostic(const Frame& frame) {
  const auto first = ReadDiagnostic(frame.type, frame.body);
  if (!first) return;
  WireWriter out;
  WriteDiagnostic(out, *first);
  const auto second = ReadDiagnostic(frame.type, out.view().substr(kFrameHeaderSize));
  CHECK(second.has_value());
  CHECK(second->message == first->message && second->code == first->code && second->position == first->position);
}

void CheckMessage(const Frame& frame) {
  switch (frame.type) {
    case kAuthentication:
      (void)ReadAuthentication(frame.body);
      break;
    case kParameterStatus:
      (void)ReadParameterStatus(frame.body);
      break;
    case kBackendKeyData:
      (void)ReadBackendKeyData(frame.body);
      break;
    case kReadyForQuery:
      (void)ReadReadyForQuery(frame.body);
      break;
    case kRowDescription:
      CheckRowDescription(frame.body);
      break;
    case kDataRow:
      CheckDataRow(frame.body);
      break;
    case kCommandComplete:
      (void)ReadCommandComplete(frame.body);
      break;
    case kParameterDescription:
      (void)ReadParameterDescription(frame.body);
      break;
    case kNotificationResponse:
      (void)ReadNotificationResponse(frame.body);
      break;
    case kCopyInResponse:
    case kCopyOutResponse:
    case kCopyBothResponse:
      (void)ReadCopyResponse(frame.body);
      break;
    case kNegotiateProtocolVersion:
      (void)ReadNegotiateProtocolVersion(frame.body);
      break;
    case kFunctionCallResponse:
      (void)ReadFunctionCallResponse(frame.body);
      break;
    case kErrorResponse:
    case kNoticeResponse:
      CheckDiagnostic(frame);
      break;
    default:
      break;
  }
}

}  // namespace
}  // namespace multigres::pgwire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace multigres::pgwire;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  while (true) {
    const auto run = MeasureRun(input, kDataRow, 4096);
    CHECK(run.bytes <= input.size());
    const auto frame = PeekFrame(input, 1 << 20);
    if (!frame || !*frame) break;
    CHECK((run.frames > 0) == ((*frame)->type == kDataRow));
    CheckMessage(**frame);
    input.remove_prefix((*frame)->size());
  }
  return 0;
}
