#include "common/topoclient/memorytopo/memory_connection.h"

#include "common/topoclient/memorytopo/memory_lock.h"

namespace multigres::topo {

using namespace std::chrono_literals;

namespace {

constexpr Duration kOperationTimeout = 15s;
constexpr Duration kLeaseTtl = 30s;

Result<> WithinLimits(const CallContext& context, Clock& clock, const std::string& path) {
  if (context.cancel != nullptr && context.cancel->IsCancelled()) return FailTopo(ErrorKind::kInterrupted, path);
  if (context.deadline.Passed(clock.Now())) return FailTopo(ErrorKind::kTimeout, path);
  return {};
}

}  // namespace

MemoryConnection::MemoryConnection(MemoryTopo& topo, ConnectionSpec spec)
    : topo_(topo), spec_(std::move(spec)), store_(topo.StoreOf(spec_.cell)) {}

Awaitable<Result<>> MemoryConnection::Begin(CallContext context, Operation operation, std::string path) {
  context.deadline = context.deadline.Earlier(topo_.clock_.After(kOperationTimeout));
  CancelToken::Subscription subscription;
  if (context.cancel != nullptr) {
    subscription = context.cancel->OnCancel([this](CancelReason) { topo_.hooks_changed_.Pulse(); });
  }
  const bool unreachable =
      std::find(spec_.addresses.begin(), spec_.addresses.end(), MemoryTopo::kUnreachable) != spec_.addresses.end();
  for (;;) {
    if (closed_) co_return FailTopo(ErrorKind::kInterrupted, path);
    if (auto fine = WithinLimits(context, topo_.clock_, path); !fine) co_return fine;
    if (!unreachable && !topo_.paused_) break;
    co_await topo_.hooks_changed_.WaitUntil(topo_.clock_, context.deadline);
  }
  const auto failure = topo_.TakeFailure(operation, path);
  if (spec_.on_status) spec_.on_status(failure ? failure->message() : "");
  if (failure) co_return std::unexpected(*failure);
  co_return Result<>();
}

Awaitable<Result<Version>> MemoryConnection::Create(CallContext context, std::string path, std::string contents) {
  const std::string key = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kCreate, key); !begun) co_return std::unexpected(begun.error());
  if (store_.Find(key) != nullptr) co_return FailTopo(ErrorKind::kNodeExists, key);
  co_return store_.Put(key, std::move(contents));
}

Awaitable<Result<Version>> MemoryConnection::Update(CallContext context, std::string path, std::string contents,
                                                    std::optional<Version> version) {
  const std::string key = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kUpdate, key); !begun) co_return std::unexpected(begun.error());
  if (version) {
    const auto* node = store_.Find(key);
    if (node == nullptr || node->version != *version) co_return FailTopo(ErrorKind::kBadVersion, key);
  }
  co_return store_.Put(key, std::move(contents));
}

Awaitable<Result<VersionedValue>> MemoryConnection::Get(CallContext context, std::string path,
                                                        std::optional<Version> revision) {
  const std::string key = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kGet, key); !begun) co_return std::unexpected(begun.error());
  if (revision) co_return FailTopo(ErrorKind::kNoImplementation, "GetVersion in memory");
  const auto* node = store_.Find(key);
  if (node == nullptr) co_return FailTopo(ErrorKind::kNoNode, key);
  VersionedValue value;
  value.contents = node->contents;
  value.version = node->version;
  co_return value;
}

Awaitable<Result<std::vector<KeyValue>>> MemoryConnection::List(CallContext context, std::string prefix,
                                                                ListWhat what) {
  if (auto begun = co_await Begin(context, Operation::kList, prefix); !begun) {
    co_return std::unexpected(begun.error());
  }
  std::vector<KeyValue> found;
  for (auto it = store_.LowerBound(prefix); it != store_.nodes().end() && it->first.starts_with(prefix); ++it) {
    KeyValue entry;
    entry.key = it->first;
    if (what == ListWhat::kKeysAndValues) entry.contents = it->second.contents;
    entry.version = it->second.version;
    entry.leased = it->second.lease != 0;
    found.push_back(std::move(entry));
  }
  if (found.empty()) co_return FailTopo(ErrorKind::kNoNode, prefix);
  co_return found;
}

Awaitable<Result<>> MemoryConnection::Delete(CallContext context, std::string path, std::optional<Version> version) {
  const std::string key = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kDelete, key); !begun) co_return begun;
  const auto* node = store_.Find(key);
  if (node == nullptr) co_return FailTopo(ErrorKind::kNoNode, key);
  if (version && node->version != *version) co_return FailTopo(ErrorKind::kBadVersion, key);
  store_.Erase(key);
  co_return Result<>();
}

Awaitable<Result<std::unique_ptr<Lock>>> MemoryConnection::AcquireLock(CallContext context, LockRequest request) {
  const std::string path = JoinPath({request.path});
  if (auto begun = co_await Begin(context, Operation::kLock, path); !begun) co_return std::unexpected(begun.error());
  const std::string queue = path + "/locks/";
  std::string key = path;
  const std::uint64_t lease = topo_.next_lease_;
  if (request.mode == LockMode::kExactKey) {
    if (store_.Find(key) != nullptr) co_return FailTopo(ErrorKind::kNodeExists, key);
  } else {
    if (request.require_directory && !store_.HasPrefix(path + "/")) co_return FailTopo(ErrorKind::kNoNode, path);
    if (request.mode == LockMode::kTry && store_.HasPrefix(queue)) co_return FailTopo(ErrorKind::kNodeExists, path);
    key = queue + std::to_string(lease);
  }
  ++topo_.next_lease_;
  // Owns the lease from here on: whatever ends this coroutine early frees it.
  auto lock = std::make_unique<MemoryLock>(*this, store_, topo_.clock_, key, lease, request.ttl.value_or(kLeaseTtl));
  const Version created = store_.Put(key, std::move(request.contents), lease);
  if (request.mode != LockMode::kExactKey) {
    if (auto turn = co_await WaitForTurn(context, key, created); !turn) co_return std::unexpected(turn.error());
  }
  lock->Acquired();
  co_return lock;
}

Awaitable<Result<>> MemoryConnection::WaitForTurn(CallContext context, std::string key, Version created) {
  const std::string queue = key.substr(0, key.rfind('/') + 1);
  CancelToken::Subscription subscription;
  if (context.cancel != nullptr) {
    subscription = context.cancel->OnCancel([this](CancelReason) { store_.changed().Pulse(); });
  }
  for (;;) {
    if (closed_) co_return FailTopo(ErrorKind::kInterrupted, key);
    const auto* own = store_.Find(key);
    if (own == nullptr) co_return FailTopo(ErrorKind::kNoNode, key);
    bool older = false;
    for (auto it = store_.LowerBound(queue); it != store_.nodes().end() && it->first.starts_with(queue); ++it) {
      older = older || it->second.created < created;
    }
    if (!older) co_return Result<>();
    if (auto fine = WithinLimits(context, topo_.clock_, key); !fine) co_return fine;
    co_await store_.changed().WaitUntil(topo_.clock_, context.deadline);
  }
}

Awaitable<Result<>> MemoryConnection::RevokeLock(CallContext context, std::string path) {
  const std::string key = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kRevokeLock, key); !begun) co_return begun;
  const auto* node = store_.Find(key);
  if (node != nullptr && node->lease != 0) store_.Revoke(node->lease);
  co_return Result<>();
}

Awaitable<Result<std::unique_ptr<Watch>>> MemoryConnection::OpenWatch(CallContext context, std::string path,
                                                                      WatchScope scope) {
  std::string watched = JoinPath({path});
  if (auto begun = co_await Begin(context, Operation::kWatch, watched); !begun) {
    co_return std::unexpected(begun.error());
  }
  if (scope == WatchScope::kDirectory && !watched.empty()) watched.push_back('/');
  std::vector<WatchEvent> initial;
  for (auto it = store_.LowerBound(watched); it != store_.nodes().end() && it->first.starts_with(watched); ++it) {
    if (scope == WatchScope::kKey && it->first != watched) break;
    WatchEvent event;
    event.path = it->first;
    event.contents = it->second.contents;
    event.version = it->second.version;
    initial.push_back(std::move(event));
  }
  if (scope == WatchScope::kKey && initial.empty()) co_return FailTopo(ErrorKind::kNoNode, watched);
  auto feed = std::make_shared<Watch::Feed>();
  store_.AddWatch(watched, scope, feed);
  std::erase_if(feeds_, [](const auto& known) { return known.expired(); });
  feeds_.push_back(feed);
  co_return std::make_unique<Watch>(std::move(initial), std::move(feed));
}

Awaitable<void> MemoryConnection::Close() {
  closed_ = true;
  for (auto& known : feeds_) {
    if (auto feed = known.lock()) feed->End(TopoError(ErrorKind::kInterrupted, "connection closed"));
  }
  feeds_.clear();
  topo_.hooks_changed_.Pulse();
  store_.changed().Pulse();
  co_return;
}

}  // namespace multigres::topo
