// The connection to one of a store's etcd servers, replaced by another whenever it proves bad.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/channel.h"
#include "common/topoclient/connection.h"
#include "common/topoclient/etcdtopo/etcd_topo.h"
#include "tools/async/task_group.h"
#include "tools/random/random.h"

namespace multigres::topo {

class EtcdClient {
 public:
  // Begins to dial at once: the addresses in turn, and again with jitter(10 ms..30 s) until one answers.
  EtcdClient(Reactor& reactor, EtcdOptions options, ConnectionSpec spec);
  ~EtcdClient();

  // A channel in use: it isn't closed before its last use has ended, even if another has replaced it meanwhile.
  class Use;
  // NoConnection() while there is none (the first dial is waited for); kTimeout, kInterrupted for the context's limits.
  Awaitable<Result<Use>> Begin(CallContext context);
  // Returns once there is a connection.
  Awaitable<void> WaitConnected();

  // The call's limits: the context's, and operation_timeout.
  rpc::CallOptions Limits(const CallContext& context);
  // What a failed RPC about `subject` is to the caller. Replaces the connection if the error tells against it.
  Error Failed(const Error& error, const std::string& subject);

  Reactor& reactor() { return reactor_; }
  Clock& clock() { return reactor_.clock(); }
  const EtcdOptions& options() const { return options_; }
  Random& random() { return *random_; }

  // Ends every call with an error.
  Awaitable<void> Close();

 private:
  struct Link {
    std::unique_ptr<rpc::Channel> channel;
    int uses = 0;
    Event unused;
  };

  Awaitable<void> Reconnect();
  Awaitable<Result<>> DialOnce();
  Awaitable<void> CloseWhenUnused(std::shared_ptr<Link> link);
  void Retire(std::shared_ptr<Link> link);
  void StartReconnecting();
  void Status(const std::string& text);

  Reactor& reactor_;
  EtcdOptions options_;
  ConnectionSpec spec_;
  std::unique_ptr<Random> random_;
  std::size_t next_address_ = 0;
  std::shared_ptr<Link> link_;  // null while disconnected
  std::list<std::shared_ptr<Link>> links_;
  bool reconnecting_ = false;
  bool closed_ = false;
  Event dialed_;     // the first dial is over
  Event connected_;  // set while link_ is there
  TaskGroup tasks_;
};

class EtcdClient::Use {
 public:
  explicit Use(std::shared_ptr<Link> link) : link_(std::move(link)) { ++link_->uses; }
  Use(Use&& other) noexcept = default;
  Use& operator=(Use&&) = delete;
  ~Use() {
    if (link_ && --link_->uses == 0) link_->unused.Pulse();
  }
  rpc::Channel& channel() { return *link_->channel; }

 private:
  std::shared_ptr<Link> link_;
};

}  // namespace multigres::topo
