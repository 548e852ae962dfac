#include "common/rpc/client_connection.h"

#include <nghttp2/nghttp2.h>

#include "tools/result/check.h"

namespace multigres::rpc {

ClientConnection::ClientConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream, Http2Options options,
                                   std::string authority, std::uint32_t max_calls, Observer& observer)
    : Http2Session(reactor, std::move(stream), options),
      observer_(observer),
      authority_(std::move(authority)),
      calls_left_(max_calls) {}

void ClientConnection::StartCall(OutgoingCall& call) {
  call.Start(*this, stream().IsEncrypted() ? "https" : "http", authority_);
  if (--calls_left_ > 0 || draining_) return;
  draining_ = true;
  SubmitGoaway(false, NGHTTP2_NO_ERROR, "");
  observer_.OnDraining(*this, false);
}

Http2Stream* ClientConnection::OnRequest() {
  CHECK(false, "a server does not send requests");
  return nullptr;
}

void ClientConnection::OnSettings() {
  if (std::exchange(ready_, true)) return;
  observer_.OnReady(*this);
}

void ClientConnection::OnGoaway(std::uint32_t http2_error, std::string_view debug) {
  const bool first = !std::exchange(draining_, true);
  const bool too_many_pings = http2_error == NGHTTP2_ENHANCE_YOUR_CALM && debug == "too_many_pings";
  if (first) observer_.OnDraining(*this, too_many_pings);
}

}  // namespace multigres::rpc
