// One client's connection on the server.
#pragma once

#include <boost/intrusive/list.hpp>

#include <memory>
#include <string>
#include <vector>

#include "common/rpc/http2_session.h"
#include "common/rpc/incoming_call.h"
#include "common/rpc/keepalive.h"
#include "common/rpc/server.h"
#include "common/rpc/service_registry.h"

namespace multigres::rpc {

class ServerConnection final
    : public Http2Session,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  ServerConnection(Reactor& reactor, std::unique_ptr<ByteStream> stream, const ServiceRegistry& registry,
                   const ServerOptions& options);

  // Until the connection has ended and the last of its handlers has returned.
  Awaitable<void> Run();
  // Lets open calls finish, takes no new ones, then closes.
  void Drain();
  // Cancels every open call.
  void CancelCalls(CancelReason reason);
  // Unwinds the handlers that don't heed their cancellation.
  void AbandonCalls() { handlers_.Cancel(); }

  const ServiceRegistry& registry() const { return registry_; }
  const std::string& peer() const { return peer_; }
  std::string_view peer_subject() const { return peer_subject_; }
  bool IsAuthorized() const { return authorized_; }
  std::string UnknownMethodText(std::string_view path) const;
  // The call's handler starts when the frames that came with it have been taken in.
  void QueueCall(IncomingCall& call) { queued_.push_back(&call); }

 private:
  Http2Stream* OnRequest() override;
  void OnPing() override;
  void OnPingAck() override;
  void OnBatchEnd() override;
  void OnOutput() override { ping_limit_.OnOutput(); }
  void StartAge();
  void OnAge();
  void FinishDrain();

  const ServiceRegistry& registry_;
  const ServerOptions& options_;
  const std::string peer_;
  const std::string peer_subject_;
  const bool authorized_;
  PingLimit ping_limit_;
  std::vector<IncomingCall*> queued_;
  enum class DrainState : std::uint8_t { kNo, kAnnounced, kFinal };
  DrainState drain_ = DrainState::kNo;
  Timer drain_timer_;
  Timer age_timer_;
  TaskGroup handlers_;
};

}  // namespace multigres::rpc
