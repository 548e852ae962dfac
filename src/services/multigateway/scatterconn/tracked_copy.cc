#include "services/multigateway/scatterconn/tracked_copy.h"

#include "multipoolerservice.pb.h"
#include "services/multigateway/scatterconn/lost_call.h"
#include "services/multigateway/scatterconn/reservation_update.h"
#include "services/multigateway/session/session.h"

namespace multigres::gateway::scatterconn {

using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;

TrackedCopy::~TrackedCopy() {
  if (!ended_) Interrupted();
}

Awaitable<Result<>> TrackedCopy::Send(const CopyBidiExecuteRequest& message) {
  if (message.phase() == CopyBidiExecuteRequest::DONE) may_commit_ = true;
  return stream_->Send(message);
}

Awaitable<Result<bool>> TrackedCopy::Receive(CopyBidiExecuteResponse& message) {
  auto received = co_await stream_->Receive(message);
  if (!received) {
    Error error = may_commit_ ? AsClientSees(session_, std::move(received.error()))
                              : UncommittedAsClientSees(session_, std::move(received.error()));
    if (!ended_) Interrupted();
    co_return std::unexpected(std::move(error));
  }
  if (!*received || message.phase() == CopyBidiExecuteResponse::DATA) co_return received;
  Update(session_, message.has_reserved_state() ? &message.reserved_state() : nullptr, nullptr);
  ended_ = message.phase() != CopyBidiExecuteResponse::READY;
  co_return received;
}

void TrackedCopy::Interrupted() {
  ended_ = true;
  const session::Reservation& reservation = session_.reservation();
  if (!reservation.held() || reservation.reasons == session::reason::kCopy) {
    Forget(session_);
  } else {
    session_.transaction().Fail();
  }
}

}  // namespace multigres::gateway::scatterconn
