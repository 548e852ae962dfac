#include "common/topoclient/etcdtopo/etcd_connection.h"

#include "common/topoclient/etcdtopo/etcd_lock.h"
#include "common/topoclient/etcdtopo/etcd_watch.h"
#include "etcd/etcdserver.pb.h"
#include "etcd/etcdserver.rpc.h"

namespace multigres::topo {

namespace {

class EtcdBackend final : public Backend {
 public:
  EtcdBackend(Reactor& reactor, EtcdOptions options) : reactor_(reactor), options_(std::move(options)) {}
  std::unique_ptr<Connection> Connect(ConnectionSpec spec) override {
    return std::make_unique<EtcdConnection>(reactor_, options_, std::move(spec));
  }

 private:
  Reactor& reactor_;
  EtcdOptions options_;
};

// Is the key's modification revision this? 0 = the key doesn't exist.
void CompareModRevision(etcdserverpb::TxnRequest& txn, const std::string& key, Version version) {
  auto& compare = *txn.add_compare();
  compare.set_key(key);
  compare.set_result(etcdserverpb::Compare::EQUAL);
  compare.set_target(etcdserverpb::Compare::MOD);
  compare.set_mod_revision(version);
}

etcdserverpb::RangeRequest PrefixRange(const std::string& prefix) {
  etcdserverpb::RangeRequest range;
  range.set_key(prefix);
  range.set_range_end(PrefixEnd(prefix));
  return range;
}

}  // namespace

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty()) {
    if (static_cast<unsigned char>(prefix.back()) < 0xff) {
      ++prefix.back();
      return prefix;
    }
    prefix.pop_back();
  }
  return std::string(1, '\0');
}

std::unique_ptr<Backend> NewEtcdBackend(Reactor& reactor, EtcdOptions options) {
  return std::make_unique<EtcdBackend>(reactor, std::move(options));
}

EtcdConnection::EtcdConnection(Reactor& reactor, EtcdOptions options, ConnectionSpec spec)
    : client_(reactor, std::move(options), spec), base_(JoinPath({spec.root})), tasks_(reactor.executor()) {
  if (!base_.ends_with('/')) base_.push_back('/');
}

EtcdConnection::~EtcdConnection() = default;

Awaitable<Result<Version>> EtcdConnection::Create(CallContext context, std::string path, std::string contents) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::TxnRequest txn;
  CompareModRevision(txn, KeyOf(path), 0);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(KeyOf(path));
  put.set_value(std::move(contents));
  auto done = co_await etcdserverpb::rpc::KVClient(use->channel()).Txn(txn, client_.Limits(context));
  if (!done) co_return std::unexpected(client_.Failed(done.error(), path));
  if (!done->succeeded()) co_return FailTopo(ErrorKind::kNodeExists, path);
  co_return done->header().revision();
}

Awaitable<Result<Version>> EtcdConnection::Update(CallContext context, std::string path, std::string contents,
                                                  std::optional<Version> version) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::TxnRequest txn;
  if (version) CompareModRevision(txn, KeyOf(path), *version);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(KeyOf(path));
  put.set_value(std::move(contents));
  auto done = co_await etcdserverpb::rpc::KVClient(use->channel()).Txn(txn, client_.Limits(context));
  if (!done) co_return std::unexpected(client_.Failed(done.error(), path));
  if (!done->succeeded()) co_return FailTopo(ErrorKind::kBadVersion, path);
  co_return done->header().revision();
}

Awaitable<Result<VersionedValue>> EtcdConnection::Get(CallContext context, std::string path,
                                                      std::optional<Version> revision) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::RangeRequest range;
  range.set_key(KeyOf(path));
  if (revision) range.set_revision(*revision);
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client_.Limits(context));
  if (!found) co_return std::unexpected(client_.Failed(found.error(), path));
  if (found->kvs_size() == 0) co_return FailTopo(ErrorKind::kNoNode, path);
  VersionedValue value;
  value.contents = std::move(*found->mutable_kvs(0)->mutable_value());
  value.version = found->kvs(0).mod_revision();
  co_return value;
}

Awaitable<Result<std::vector<KeyValue>>> EtcdConnection::List(CallContext context, std::string prefix, ListWhat what) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::RangeRequest range = PrefixRange(base_ + prefix);
  range.set_keys_only(what == ListWhat::kKeysOnly);
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client_.Limits(context));
  if (!found) co_return std::unexpected(client_.Failed(found.error(), prefix));
  if (found->kvs_size() == 0) co_return FailTopo(ErrorKind::kNoNode, prefix);
  std::vector<KeyValue> entries;
  entries.reserve(static_cast<std::size_t>(found->kvs_size()));
  for (auto& kv : *found->mutable_kvs()) {
    KeyValue entry;
    entry.key = PathOf(kv.key());
    entry.contents = std::move(*kv.mutable_value());
    entry.version = kv.mod_revision();
    entry.leased = kv.lease() != 0;
    entries.push_back(std::move(entry));
  }
  co_return entries;
}

Awaitable<Result<>> EtcdConnection::Delete(CallContext context, std::string path, std::optional<Version> version) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::TxnRequest txn;
  if (version) CompareModRevision(txn, KeyOf(path), *version);
  txn.add_success()->mutable_request_delete_range()->set_key(KeyOf(path));
  txn.add_failure()->mutable_request_range()->set_key(KeyOf(path));
  auto done = co_await etcdserverpb::rpc::KVClient(use->channel()).Txn(txn, client_.Limits(context));
  if (!done) co_return std::unexpected(client_.Failed(done.error(), path));
  if (done->succeeded()) {
    if (done->responses(0).response_delete_range().deleted() == 0) co_return FailTopo(ErrorKind::kNoNode, path);
    co_return Result<>();
  }
  const bool absent = done->responses(0).response_range().kvs_size() == 0;
  co_return FailTopo(absent ? ErrorKind::kNoNode : ErrorKind::kBadVersion, path);
}

Awaitable<Result<std::unique_ptr<Lock>>> EtcdConnection::AcquireLock(CallContext context, LockRequest request) {
  const std::string path = JoinPath({request.path});
  if (request.mode != LockMode::kExactKey) {
    if (request.require_directory) {
      auto below = co_await List(context, path + "/", ListWhat::kKeysOnly);
      if (!below && Is(below.error(), ErrorKind::kNoNode)) co_return FailTopo(ErrorKind::kNoNode, path);
      if (!below) co_return std::unexpected(std::move(below.error()));
    }
    if (request.mode == LockMode::kTry) {
      auto locks = co_await List(context, path + "/locks/", ListWhat::kKeysOnly);
      if (locks) co_return FailTopo(ErrorKind::kNodeExists, path);
      if (!Is(locks.error(), ErrorKind::kNoNode)) co_return std::unexpected(std::move(locks.error()));
    }
  }
  const Duration ttl = request.ttl.value_or(client_.options().lease_ttl);
  auto lease = co_await EtcdLease::Grant(client_, tasks_, context, ttl);
  if (!lease) co_return std::unexpected(std::move(lease.error()));

  const bool exact = request.mode == LockMode::kExactKey;
  const std::string own = exact ? path : fmt::format("{}/locks/{}", path, (*lease)->id());
  Result<> locked;
  if (exact) {
    locked = co_await (*lease)->CreateKey(context, base_, own, std::move(request.contents));
  } else {
    locked = co_await (*lease)->Queue(context, *this, base_, own, std::move(request.contents));
  }
  if (!locked) {
    // Whatever the caller's limits were, nothing may stay behind.
    co_await (*lease)->Abandon();
    co_return std::unexpected(std::move(locked.error()));
  }
  co_return std::make_unique<EtcdLock>(std::move(*lease), base_, own);
}

Awaitable<Result<>> EtcdConnection::RevokeLock(CallContext context, std::string key) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::RangeRequest range;
  range.set_key(KeyOf(key));
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client_.Limits(context));
  if (!found) co_return std::unexpected(client_.Failed(found.error(), key));
  if (found->kvs_size() == 0 || found->kvs(0).lease() == 0) co_return Result<>();
  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(found->kvs(0).lease());
  auto revoked = co_await etcdserverpb::rpc::LeaseClient(use->channel()).LeaseRevoke(revoke, client_.Limits(context));
  if (revoked || revoked.error().code() == Code::kNotFound) co_return Result<>();
  co_return std::unexpected(client_.Failed(revoked.error(), key));
}

Awaitable<Result<std::unique_ptr<Watch>>> EtcdConnection::OpenWatch(CallContext context, std::string path,
                                                                    WatchScope scope) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  const std::string watched = JoinPath({path});
  const bool key_scope = scope == WatchScope::kKey;
  std::string first = base_ + watched;
  if (!key_scope && !first.ends_with('/')) first.push_back('/');
  etcdserverpb::RangeRequest range = PrefixRange(first);
  if (key_scope) range.clear_range_end();
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client_.Limits(context));
  if (!found) co_return std::unexpected(client_.Failed(found.error(), watched));
  if (key_scope && found->kvs_size() == 0) co_return FailTopo(ErrorKind::kNoNode, watched);

  std::vector<WatchEvent> initial;
  for (auto& kv : *found->mutable_kvs()) {
    WatchEvent event;
    event.path = PathOf(kv.key());
    event.contents = std::move(*kv.mutable_value());
    event.version = kv.mod_revision();
    initial.push_back(std::move(event));
  }
  EtcdWatchSpec spec;
  spec.key = first;
  spec.range_end = key_scope ? "" : PrefixEnd(first);
  spec.base = base_;
  spec.scope = scope;
  spec.next_revision = found->header().revision() + 1;
  auto feed = std::make_shared<Watch::Feed>();
  std::erase_if(feeds_, [](const auto& known) { return known.expired(); });
  feeds_.push_back(feed);
  tasks_.Spawn("etcd watch", FeedEtcdWatch(client_, std::move(spec), feed));
  co_return std::make_unique<Watch>(std::move(initial), std::move(feed));
}

Awaitable<void> EtcdConnection::Close() {
  for (auto& known : feeds_) {
    if (auto feed = known.lock()) feed->End(TopoError(ErrorKind::kInterrupted, "connection closed"));
  }
  feeds_.clear();
  co_await tasks_.CancelAndJoin();
  co_await client_.Close();
}

}  // namespace multigres::topo
