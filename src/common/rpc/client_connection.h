// One connection of a channel.
#pragma once

#include <memory>
#include <string>

#include "common/rpc/http2_session.h"
#include "common/rpc/outgoing_call.h"
#include "tools/async/event.h"

namespace multigres::rpc {

class ClientConnection final : public Http2Session {
 public:
  // Told inside the session's callbacks; may only take notes and wake coroutines.
  class Observer {
   public:
    // The server's settings have come: calls can begin.
    virtual void OnReady(ClientConnection& connection) = 0;
    // No more calls here; those that are open may finish. `too_many_pings`: the server found us too lively.
    virtual void OnDraining(ClientConnection& connection, bool too_many_pings) = 0;

   protected:
    ~Observer() = default;
  };

  ClientConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream, Http2Options options, std::string authority,
                   std::uint32_t max_calls, Observer& observer);

  bool AcceptsCalls() const { return ready_ && !draining_ && IsOpen(); }
  void StartCall(OutgoingCall& call);

 private:
  Http2Stream* OnRequest() override;
  void OnSettings() override;
  void OnGoaway(std::uint32_t http2_error, std::string_view debug) override;

  Observer& observer_;
  const std::string authority_;
  std::uint32_t calls_left_;
  bool ready_ = false;
  bool draining_ = false;
};

}  // namespace multigres::rpc
