#include "common/pgclient/encrypt.h"

#include "common/pgwire/startup.h"
#include "tools/net/tls.h"

namespace multigres::pgclient {

namespace {

// The server's one-byte answer to SSLRequest. Nothing behind it is read: it would be from before the encryption.
Awaitable<Result<char>> AskForTls(Reactor& reactor, ByteStream& stream, Deadline deadline) {
  bool late = false;
  Timer timer;
  if (!deadline.IsNever()) {
    timer = reactor.clock().ScheduleAt(deadline.at(), [&late, &stream] {
      late = true;
      stream.Close();
    });
  }
  pgwire::WireWriter request;
  pgwire::WriteSslRequest(request);
  auto done = co_await WriteAll(stream, std::as_bytes(std::span(request.view())));
  std::byte answer{};
  if (done) done = co_await ReadExactly(stream, {&answer, 1});
  if (late) co_return Fail(Code::kDeadlineExceeded, "deadline exceeded");
  if (!done) co_return Fail(std::move(done), "SSLRequest");
  co_return static_cast<char>(answer);
}

}  // namespace

Awaitable<Result<std::unique_ptr<ByteStream>>> Encrypt(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                       TlsSettings settings, Deadline deadline) {
  if (!settings.direct) {
    auto answer = co_await AskForTls(reactor, *stream, deadline);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    if (*answer == 'N' && settings.mode == TlsSettings::Mode::kPrefer) co_return std::move(stream);
    if (*answer == 'N') co_return Fail(Code::kUnavailable, "the server does not support TLS, but it is required");
    if (*answer != 'S') co_return Fail(Code::kUnavailable, "unexpected answer to SSLRequest from the server");
  }
  auto encrypted = co_await TlsConnect(reactor, std::move(stream), std::move(settings.context),
                                       std::move(settings.server_name), deadline);
  if (!encrypted) co_return std::unexpected(std::move(encrypted.error()));
  co_return std::unique_ptr<ByteStream>(std::move(*encrypted));
}

}  // namespace multigres::pgclient
