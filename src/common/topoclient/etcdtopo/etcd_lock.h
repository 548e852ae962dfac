// Leases and the locks on them.
#pragma once

#include <memory>
#include <string>

#include "common/topoclient/etcdtopo/etcd_client.h"

namespace multigres::topo {

// A lease, renewed every third of its ttl by a task of the connection until it is given back or dropped.
class EtcdLease {
 public:
  static Awaitable<Result<std::unique_ptr<EtcdLease>>> Grant(EtcdClient& client, TaskGroup& tasks, CallContext context,
                                                             Duration ttl);
  // The renewing ends; the lease itself runs out unless it was given back.
  ~EtcdLease();

  std::int64_t id() const { return state_->id; }
  Event& lost() { return state_->lost; }

  // kNodeExists.
  Awaitable<Result<>> CreateKey(CallContext context, std::string base, std::string path, std::string contents);
  // Puts `path` (".../locks/<lease id>") and waits until no older key is left beside it.
  Awaitable<Result<>> Queue(CallContext context, Connection& connection, std::string base, std::string path,
                            std::string contents);
  // Renews now; kNoNode if it is gone, or doesn't hold the key any more.
  Awaitable<Result<>> Check(CallContext context, std::string base, std::string path);
  // kNoNode if it was gone already.
  Awaitable<Result<>> Revoke(CallContext context, std::string path);
  // Revokes whatever happens, in a second at most.
  Awaitable<void> Abandon();

 private:
  struct State {
    std::int64_t id = 0;
    Duration ttl{};
    TimePoint renewed;  // sent at, of the last renewal that succeeded
    bool stopped = false;
    Event stop;
    Event lost;
  };
  EtcdLease(EtcdClient& client, std::shared_ptr<State> state) : client_(client), state_(std::move(state)) {}
  // False: the lease is gone.
  static Awaitable<Result<bool>> Renew(EtcdClient& client, CallContext context, std::shared_ptr<State> state);
  static Awaitable<void> KeepAlive(EtcdClient& client, std::shared_ptr<State> state);

  EtcdClient& client_;
  std::shared_ptr<State> state_;
};

class EtcdLock final : public Lock {
 public:
  EtcdLock(std::unique_ptr<EtcdLease> lease, std::string base, std::string path)
      : lease_(std::move(lease)), base_(std::move(base)), path_(std::move(path)) {}

  Awaitable<Result<>> Check(CallContext context) override { return lease_->Check(context, base_, path_); }
  Awaitable<Result<>> Unlock(CallContext context) override { return lease_->Revoke(context, path_); }
  Event& lost() override { return lease_->lost(); }
  const std::string& key() const override { return path_; }

 private:
  std::unique_ptr<EtcdLease> lease_;
  std::string base_;
  std::string path_;
};

}  // namespace multigres::topo
