#include "common/topoclient/etcdtopo/etcd_lock.h"

#include "common/topoclient/etcdtopo/etcd_connection.h"
#include "etcd/etcdserver.pb.h"
#include "etcd/etcdserver.rpc.h"

namespace multigres::topo {

using namespace std::chrono_literals;

Awaitable<Result<std::unique_ptr<EtcdLease>>> EtcdLease::Grant(EtcdClient& client, TaskGroup& tasks,
                                                               CallContext context, Duration ttl) {
  auto use = co_await client.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(ttl).count()));
  auto state = std::make_shared<State>();
  state->renewed = client.clock().Now();
  auto granted = co_await etcdserverpb::rpc::LeaseClient(use->channel()).LeaseGrant(request, client.Limits(context));
  if (!granted) co_return std::unexpected(client.Failed(granted.error(), "lease"));
  state->id = granted->id();
  state->ttl = std::chrono::seconds(granted->ttl());
  tasks.Spawn("keep etcd lease alive", KeepAlive(client, state));
  co_return std::unique_ptr<EtcdLease>(new EtcdLease(client, std::move(state)));
}

EtcdLease::~EtcdLease() {
  state_->stopped = true;
  state_->stop.Set();
}

Awaitable<Result<bool>> EtcdLease::Renew(EtcdClient& client, CallContext context, std::shared_ptr<State> state) {
  auto use = co_await client.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  const TimePoint sent = client.clock().Now();
  auto stream = etcdserverpb::rpc::LeaseClient(use->channel()).LeaseKeepAlive(client.Limits(context));
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(state->id);
  auto written = co_await stream.Write(request);
  if (!written) co_return std::unexpected(client.Failed(written.error(), "lease"));
  etcdserverpb::LeaseKeepAliveResponse response;
  auto read = co_await stream.Read(response);
  if (!read) {
    if (read.error().code() == Code::kNotFound) co_return false;
    co_return std::unexpected(client.Failed(read.error(), "lease"));
  }
  if (!*read) co_return Fail(Code::kInternal, "etcd ended the keep-alive without an answer");
  if (response.ttl() <= 0) co_return false;
  state->renewed = sent;
  co_return true;
}

Awaitable<void> EtcdLease::KeepAlive(EtcdClient& client, std::shared_ptr<State> state) {
  Clock& clock = client.clock();
  Duration pause = state->ttl / 3;
  while (!state->stopped) {
    const bool stopped = co_await state->stop.WaitUntil(clock, clock.After(pause));
    if (stopped) co_return;
    CallContext context;
    context.deadline = clock.After(std::min<Duration>(state->ttl / 3, 5s));
    auto alive = co_await Renew(client, context, state);
    // The server counts from when it got the last renewal, later than we do: past the ttl it may be gone.
    const bool expired = clock.Now() - state->renewed >= state->ttl;
    if ((alive && !*alive) || (!alive && expired)) {
      if (!state->stopped) state->lost.Set();
      co_return;
    }
    pause = alive ? state->ttl / 3 : std::min<Duration>(state->ttl / 6, 1s);
  }
}

Awaitable<Result<>> EtcdLease::CreateKey(CallContext context, std::string base, std::string path,
                                         std::string contents) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::TxnRequest txn;
  auto& compare = *txn.add_compare();
  compare.set_key(base + path);
  compare.set_result(etcdserverpb::Compare::EQUAL);
  compare.set_target(etcdserverpb::Compare::VERSION);
  compare.set_version(0);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(base + path);
  put.set_value(std::move(contents));
  put.set_lease(state_->id);
  auto done = co_await etcdserverpb::rpc::KVClient(use->channel()).Txn(txn, client_.Limits(context));
  if (!done) co_return std::unexpected(client_.Failed(done.error(), path));
  if (!done->succeeded()) co_return FailTopo(ErrorKind::kNodeExists, path);
  co_return Result<>();
}

namespace {

// The youngest key of the queue that is older than ours; empty if we are first.
Awaitable<Result<std::string>> Predecessor(EtcdClient& client, CallContext context, std::string queue,
                                           Version created) {
  auto use = co_await client.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::RangeRequest range;
  range.set_key(queue);
  range.set_range_end(PrefixEnd(queue));
  range.set_max_create_revision(created - 1);
  range.set_sort_target(etcdserverpb::RangeRequest::CREATE);
  range.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
  range.set_limit(1);
  range.set_keys_only(true);
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client.Limits(context));
  if (!found) co_return std::unexpected(client.Failed(found.error(), queue));
  if (found->kvs_size() == 0) co_return std::string();
  co_return found->kvs(0).key();
}

// Waits until the key is gone, the context ends, or the watch does.
Awaitable<Result<>> WaitUntilGone(EtcdClient& client, Connection& connection, CallContext context, std::string path) {
  auto watch = co_await connection.OpenWatch(context, path, WatchScope::kKey);
  if (!watch) {
    if (Is(watch.error(), ErrorKind::kNoNode)) co_return Result<>();
    co_return std::unexpected(std::move(watch.error()));
  }
  // The end of the context ends the watch, with kInterrupted; what ended is seen by whoever called.
  Timer timer;
  if (!context.deadline.IsNever()) {
    timer = client.clock().ScheduleAt(context.deadline.at(), [&watch] { (*watch)->Cancel(); });
  }
  CancelToken::Subscription subscription;
  if (context.cancel != nullptr) {
    subscription = context.cancel->OnCancel([&watch](CancelReason) { (*watch)->Cancel(); });
  }
  for (;;) {
    auto event = co_await (*watch)->Next();
    if (!event || event->error) co_return Result<>();
  }
}

}  // namespace

Awaitable<Result<>> EtcdLease::Queue(CallContext context, Connection& connection, std::string base, std::string path,
                                     std::string contents) {
  auto put_key = co_await CreateKey(context, base, path, std::move(contents));
  if (!put_key) co_return put_key;
  auto own = co_await connection.Get(context, path);
  if (!own) co_return std::unexpected(std::move(own.error()));
  const std::string queue = base + path.substr(0, path.rfind('/') + 1);
  for (;;) {
    if (context.cancel != nullptr && context.cancel->IsCancelled()) co_return FailTopo(ErrorKind::kInterrupted, path);
    if (context.deadline.Passed(client_.clock().Now())) co_return FailTopo(ErrorKind::kTimeout, path);
    if (state_->lost.IsSet()) co_return FailTopo(ErrorKind::kNoNode, path);
    auto older = co_await Predecessor(client_, context, queue, own->version);
    if (!older) co_return std::unexpected(std::move(older.error()));
    if (older->empty()) co_return co_await Check(context, base, path);
    auto waited = co_await WaitUntilGone(client_, connection, context, older->substr(base.size()));
    if (!waited) co_return waited;
  }
}

Awaitable<Result<>> EtcdLease::Check(CallContext context, std::string base, std::string path) {
  auto alive = co_await Renew(client_, context, state_);
  if (!alive) co_return std::unexpected(std::move(alive.error()));
  if (!*alive) co_return FailTopo(ErrorKind::kNoNode, path);
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::RangeRequest range;
  range.set_key(base + path);
  auto found = co_await etcdserverpb::rpc::KVClient(use->channel()).Range(range, client_.Limits(context));
  if (!found) co_return std::unexpected(client_.Failed(found.error(), path));
  if (found->kvs_size() == 0 || found->kvs(0).lease() != state_->id) co_return FailTopo(ErrorKind::kNoNode, path);
  co_return Result<>();
}

Awaitable<Result<>> EtcdLease::Revoke(CallContext context, std::string path) {
  auto use = co_await client_.Begin(context);
  if (!use) co_return std::unexpected(std::move(use.error()));
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(state_->id);
  auto revoked = co_await etcdserverpb::rpc::LeaseClient(use->channel()).LeaseRevoke(request, client_.Limits(context));
  if (!revoked && revoked.error().code() != Code::kNotFound) {
    // Still ours, perhaps: the caller may try again, and the lease is kept for that.
    co_return std::unexpected(client_.Failed(revoked.error(), path));
  }
  state_->stopped = true;
  state_->stop.Set();
  if (!revoked) co_return FailTopo(ErrorKind::kNoNode, path);
  co_return Result<>();
}

Awaitable<void> EtcdLease::Abandon() {
  CallContext context;
  context.deadline = client_.clock().After(1s);
  co_await Revoke(context, "lease");
}

}  // namespace multigres::topo
