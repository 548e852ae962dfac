#include "services/multigateway/scatterconn/peeked_copy.h"

namespace multigres::gateway::scatterconn {

using multipoolerservice::CopyBidiExecuteResponse;
using queryservice::CopyStream;

Awaitable<Result<std::unique_ptr<CopyStream>>> PeekedCopy::Open(std::unique_ptr<CopyStream> stream) {
  std::unique_ptr<PeekedCopy> peeked(new PeekedCopy(std::move(stream)));
  CopyBidiExecuteResponse message;
  auto received = co_await peeked->stream_->Receive(message);
  if (!received) co_return std::unexpected(std::move(received.error()));
  if (!*received) co_return Fail(Code::kInternal, "COPY ended without a result");
  if (message.phase() == CopyBidiExecuteResponse::ERROR) {
    CopyBidiExecuteResponse rest;
    auto ended = co_await peeked->stream_->Receive(rest);
    if (!ended) {
      if (ended.error().execution() == Execution::kDidNotExecute) co_return std::unexpected(std::move(ended.error()));
      peeked->failure_ = std::move(ended.error());
    }
  }
  peeked->first_ = std::move(message);
  co_return std::unique_ptr<CopyStream>(std::move(peeked));
}

Awaitable<Result<bool>> PeekedCopy::Receive(CopyBidiExecuteResponse& message) {
  if (first_) {
    message = std::move(*first_);
    first_.reset();
    co_return true;
  }
  if (failure_) co_return std::unexpected(*failure_);
  co_return co_await stream_->Receive(message);
}

}  // namespace multigres::gateway::scatterconn
