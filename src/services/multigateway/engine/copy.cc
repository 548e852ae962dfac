#include "services/multigateway/engine/copy.h"

#include <vector>

#include "common/mterrors/diagnostic_proto.h"
#include "multipoolerservice.pb.h"
#include "query.pb.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::engine {
namespace {

using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;
using queryservice::CopyStream;

// A client may send a CopyData of any size; a gRPC message may not have it.
constexpr std::size_t kMaxChunkBytes = std::size_t{1} << 20;

void PassNotices(PlanContext& context, const CopyBidiExecuteResponse& message) {
  for (const auto& notice : message.notices()) context.sink.Notice(mterrors::FromProto(notice));
}

// The next message that isn't an ERROR; that one becomes the error.
Awaitable<Result<>> Next(CopyStream& stream, CopyBidiExecuteResponse& message) {
  message.Clear();
  auto received = co_await stream.Receive(message);
  if (!received) co_return std::unexpected(std::move(received.error()));
  if (!*received) co_return Fail(Code::kInternal, "COPY ended without a result");
  if (message.phase() != CopyBidiExecuteResponse::ERROR) co_return Result<>();
  // The status that follows says the same and may say more.
  Error error = message.has_error_diagnostic() ? Error::FromDiagnostic(mterrors::FromProto(message.error_diagnostic()))
                                               : Error(Code::kUnknown, message.error());
  CopyBidiExecuteResponse rest;
  auto ended = co_await stream.Receive(rest);
  if (!ended && ended.error().diagnostic() != nullptr) error = std::move(ended.error());
  co_return std::unexpected(std::move(error));
}

Awaitable<Result<std::unique_ptr<CopyStream>>> Open(PlanContext& context, bool from_stdin,
                                                    CopyBidiExecuteResponse& ready) {
  auto stream = co_await context.execute.CopyExecute(context.session, context.sql, from_stdin, context.scope);
  if (!stream) co_return stream;
  auto opened = co_await Next(**stream, ready);
  if (!opened) co_return std::unexpected(std::move(opened.error()));
  PassNotices(context, ready);
  if (context.columns == ColumnsWanted::kDescribeResponse) context.sink.NoData();
  co_return stream;
}

std::span<const std::int32_t> ColumnFormats(const CopyBidiExecuteResponse& ready) {
  return {ready.column_formats().data(), static_cast<std::size_t>(ready.column_formats_size())};
}

void Finish(PlanContext& context, const CopyBidiExecuteResponse& result) {
  PassNotices(context, result);
  if (context.session.pinned()) {
    for (const auto& [name, value] : result.result().parameter_status()) {
      context.session.reported().Observe(name, value);
    }
  }
  if (context.portal != nullptr) context.portal->state = session::Portal::State::kDone;
  context.sink.CommandComplete(result.result().command_tag());
}

// Sends one message of the client. False = PostgreSQL has ended the COPY already.
Awaitable<bool> SendInput(CopyStream& stream, CopyInput input) {
  CopyBidiExecuteRequest message;
  std::string_view rest = input.data;
  if (input.kind == CopyInput::Kind::kFail) {
    message.set_phase(CopyBidiExecuteRequest::FAIL);
    message.set_error_message(std::move(input.data));
    rest = {};
  }
  while (input.kind == CopyInput::Kind::kData && !rest.empty()) {
    message.set_phase(CopyBidiExecuteRequest::DATA);
    message.set_data(std::string(rest.substr(0, kMaxChunkBytes)));
    rest.remove_prefix(std::min(rest.size(), kMaxChunkBytes));
    auto sent = co_await stream.Send(message);
    if (!sent) co_return false;
  }
  if (input.kind == CopyInput::Kind::kData) co_return true;
  if (input.kind == CopyInput::Kind::kDone) message.set_phase(CopyBidiExecuteRequest::DONE);
  auto sent = co_await stream.Send(message);
  co_return sent.has_value();
}

}  // namespace

Awaitable<Result<>> CopyFromStdin::Execute(PlanContext& context) const {
  CopyBidiExecuteResponse message;
  auto stream = co_await Open(context, true, message);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  context.sink.CopyInResponse(message.format(), ColumnFormats(message));
  for (bool more = true; more;) {
    auto input = co_await context.sink.ReadCopyInput();
    if (!input) {
      // The client broke the protocol: the COPY ends in order. (If it is gone, these calls fail at once.)
      bool told = co_await SendInput(**stream, {CopyInput::Kind::kFail, input.error().message()});
      if (told) static_cast<void>(co_await Next(**stream, message));
      co_return std::unexpected(std::move(input.error()));
    }
    more = input->kind == CopyInput::Kind::kData;
    bool sent = co_await SendInput(**stream, std::move(*input));
    if (!sent) break;
  }
  auto result = co_await Next(**stream, message);
  if (!result) co_return result;
  Finish(context, message);
  co_return Result<>();
}

Awaitable<Result<>> CopyToStdout::Execute(PlanContext& context) const {
  CopyBidiExecuteResponse message;
  auto stream = co_await Open(context, false, message);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  context.sink.CopyOutResponse(message.format(), ColumnFormats(message));
  for (;;) {
    auto received = co_await Next(**stream, message);
    if (!received) co_return received;
    if (message.phase() != CopyBidiExecuteResponse::DATA) break;
    if (message.notices().empty()) {
      context.sink.CopyData(std::move(*message.mutable_data()));
    } else {
      PassNotices(context, message);
    }
    if (context.sink.Overfull()) {
      auto flushed = co_await context.sink.Flush();
      if (!flushed) co_return flushed;
    }
  }
  context.sink.CopyDone();
  Finish(context, message);
  co_return Result<>();
}

}  // namespace multigres::gateway::engine
