#include "tools/http/client.h"

#include "tools/http/codec.h"

namespace multigres::http {

namespace {

std::string HostOf(const Address& address) {
  return std::holds_alternative<UnixAddress>(address) ? "localhost" : ToString(address);
}

Awaitable<Result<Response>> Converse(ByteStream& stream, std::string bytes, bool head, std::size_t max_bytes) {
  auto sent = co_await WriteAll(stream, std::as_bytes(std::span(bytes)));
  // A server may answer and close before it has read everything: its answer counts.
  ResponseReader reader(head, max_bytes);
  std::array<std::byte, 16 * 1024> buffer;
  while (true) {
    auto outcome = stream.TryRead(buffer);
    if (!outcome) co_return std::unexpected(sent ? std::move(outcome.error()) : std::move(sent.error()));
    if (outcome->status == IoStatus::kEof) {
      if (reader.AppendEof()) co_return reader.Take();
      co_return Fail(Code::kUnavailable, "connection closed before the end of the response");
    }
    if (outcome->bytes > 0) {
      auto done = reader.Append({reinterpret_cast<const char*>(buffer.data()), outcome->bytes});
      if (!done) co_return std::unexpected(std::move(done.error()));
      if (*done) co_return reader.Take();
      continue;
    }
    auto readable = co_await stream.WaitReadable();
    if (!readable) co_return std::unexpected(std::move(readable.error()));
  }
}

}  // namespace

Awaitable<Result<Response>> Fetch(Reactor& reactor, Address address, ClientRequest request, Deadline deadline) {
  auto stream = co_await Connect(reactor, address, deadline);
  if (!stream) co_return std::unexpected(std::move(stream.error()));
  bool late = false;
  Timer timer;
  if (!deadline.IsNever()) {
    timer = reactor.clock().ScheduleAt(deadline.at(), [&late, raw = stream->get()] {
      late = true;
      raw->Close();
    });
  }
  std::string bytes = EncodeRequest(request.method, request.target, HostOf(address), request.headers, request.body);
  auto response = co_await Converse(**stream, std::move(bytes), request.method == "HEAD", request.max_response_bytes);
  const std::string context = request.method + " http://" + HostOf(address) + request.target;
  if (late) co_return Fail(Code::kDeadlineExceeded, context + ": timed out");
  if (!response) co_return Fail(std::move(response), context);
  co_return response;
}

}  // namespace multigres::http
