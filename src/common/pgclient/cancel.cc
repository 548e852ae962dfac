#include "common/pgclient/connection.h"
#include "common/pgwire/startup.h"

namespace multigres::pgclient {

Awaitable<Result<>> CancelQuery(Reactor& reactor, CancelTarget target, Deadline deadline) {
  auto connected = co_await Connect(reactor, target.address, deadline);
  if (!connected) co_return std::unexpected(std::move(connected.error()));
  std::unique_ptr<ByteStream> stream = std::move(*connected);
  bool late = false;
  Timer timer;
  if (!deadline.IsNever()) {
    timer = reactor.clock().ScheduleAt(deadline.at(), [&late, &stream] {
      late = true;
      stream->Close();
    });
  }
  pgwire::WireWriter request;
  pgwire::WriteCancelRequest(request, target.process_id, target.secret_key);
  auto sent = co_await WriteAll(*stream, std::as_bytes(std::span(request.view())));
  while (sent && !late) {
    std::byte ignored[64];
    auto outcome = stream->TryRead(ignored);
    // The server says nothing; a reset is an end, too.
    if (!outcome || outcome->status == IoStatus::kEof) break;
    if (outcome->status == IoStatus::kWouldBlock) sent = co_await stream->WaitReadable();
  }
  if (late) co_return Fail(Code::kDeadlineExceeded, "cancel request: timed out");
  co_return sent;
}

}  // namespace multigres::pgclient
