// A pooler, reached for the calls of one request.
#pragma once

#include <memory>
#include <string>

#include "common/rpc/channel.h"
#include "multipoolermanagerservice.rpc.h"
#include "tools/async/task_group.h"

namespace multigres::admin {

// Its channel is closed in the background, however the coroutine that owns this ends.
class PoolerConnection {
 public:
  PoolerConnection(TaskGroup& tasks, std::string name, Reactor& reactor, Address address, rpc::ChannelOptions options)
      : tasks_(tasks),
        name_(std::move(name)),
        channel_(rpc::Channel::Create(reactor, std::move(address), std::move(options))),
        client_(*channel_) {}
  ~PoolerConnection() { tasks_.Spawn("close pooler channel", Close(std::move(channel_))); }
  PoolerConnection(const PoolerConnection&) = delete;
  PoolerConnection& operator=(const PoolerConnection&) = delete;

  const std::string& name() const { return name_; }
  ::multipoolermanager::rpc::MultiPoolerManagerClient& client() { return client_; }

 private:
  static Awaitable<void> Close(std::unique_ptr<rpc::Channel> channel) { co_await channel->Close(); }

  TaskGroup& tasks_;
  std::string name_;
  std::unique_ptr<rpc::Channel> channel_;
  ::multipoolermanager::rpc::MultiPoolerManagerClient client_;
};

}  // namespace multigres::admin
