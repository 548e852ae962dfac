// A Connection over etcd.
#pragma once

#include <vector>

#include "common/topoclient/etcdtopo/etcd_client.h"

namespace multigres::topo {

class EtcdConnection final : public Connection {
 public:
  EtcdConnection(Reactor& reactor, EtcdOptions options, ConnectionSpec spec);
  ~EtcdConnection() override;

  Awaitable<Result<Version>> Create(CallContext context, std::string path, std::string contents) override;
  Awaitable<Result<Version>> Update(CallContext context, std::string path, std::string contents,
                                    std::optional<Version> version) override;
  Awaitable<Result<VersionedValue>> Get(CallContext context, std::string path,
                                        std::optional<Version> revision) override;
  Awaitable<Result<std::vector<KeyValue>>> List(CallContext context, std::string prefix, ListWhat what) override;
  Awaitable<Result<>> Delete(CallContext context, std::string path, std::optional<Version> version) override;
  Awaitable<Result<std::unique_ptr<Lock>>> AcquireLock(CallContext context, LockRequest request) override;
  Awaitable<Result<>> RevokeLock(CallContext context, std::string key) override;
  Awaitable<Result<std::unique_ptr<Watch>>> OpenWatch(CallContext context, std::string path, WatchScope scope) override;
  Awaitable<void> Close() override;

 private:
  std::string KeyOf(std::string_view path) const { return base_ + JoinPath({path}); }
  std::string PathOf(const std::string& key) const { return key.substr(base_.size()); }

  EtcdClient client_;
  std::string base_;  // the root with a slash at its end
  std::vector<std::weak_ptr<Watch::Feed>> feeds_;
  TaskGroup tasks_;  // of leases and watches
};

// The end of the range of all keys that begin with `prefix`.
std::string PrefixEnd(std::string prefix);

}  // namespace multigres::topo
