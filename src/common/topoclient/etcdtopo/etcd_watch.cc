#include "common/topoclient/etcdtopo/etcd_watch.h"

#include "etcd/etcdserver.pb.h"
#include "etcd/etcdserver.rpc.h"

namespace multigres::topo {

namespace {

constexpr int kImmediateAttempts = 10;

void Deliver(const etcdserverpb::WatchResponse& response, EtcdWatchSpec& spec, Watch::Feed& feed) {
  for (const auto& change : response.events()) {
    WatchEvent event;
    event.path = change.kv().key().substr(spec.base.size());
    event.version = change.kv().mod_revision();
    spec.next_revision = std::max(spec.next_revision, event.version + 1);
    if (change.type() == mvccpb::Event::PUT) {
      event.contents = change.kv().value();
      feed.events.Push(std::move(event));
      continue;
    }
    event.error = TopoError(ErrorKind::kNoNode, event.path);
    if (spec.scope == WatchScope::kDirectory) {
      feed.events.Push(std::move(event));
      continue;
    }
    feed.End(std::move(*event.error));
    return;
  }
  // A progress notification: everything up to its revision has been seen.
  if (response.events_size() == 0 && !response.created()) {
    spec.next_revision = std::max(spec.next_revision, response.header().revision() + 1);
  }
}

// One stream; returns when it is over. True if it delivered anything.
Awaitable<bool> RunStream(EtcdClient& client, EtcdWatchSpec& spec, Watch::Feed& feed) {
  auto use = co_await client.Begin({});
  if (!use) co_return false;
  rpc::CallOptions options;
  options.cancel = &feed.cancel;
  auto stream = etcdserverpb::rpc::WatchClient(use->channel()).Watch(options);
  etcdserverpb::WatchRequest request;
  auto& create = *request.mutable_create_request();
  create.set_key(spec.key);
  create.set_range_end(spec.range_end);
  create.set_start_revision(spec.next_revision);
  create.set_progress_notify(true);
  auto written = co_await stream.Write(request);
  bool delivered = false;
  while (written && !feed.events.closed()) {
    etcdserverpb::WatchResponse response;
    auto read = co_await stream.Read(response);
    if (!read || !*read) {
      if (!read && !feed.events.closed()) (void)client.Failed(read.error(), spec.key);
      co_return delivered;
    }
    delivered = true;
    if (response.canceled()) {
      const std::string why =
          response.compact_revision() != 0
              ? fmt::format("revision {} compacted, oldest is {}", spec.next_revision, response.compact_revision())
              : response.cancel_reason();
      feed.End(Error(Code::kUnavailable, fmt::format("watch of {} cancelled by etcd: {}", spec.key, why)));
      co_return true;
    }
    Deliver(response, spec, feed);
  }
  co_return delivered;
}

}  // namespace

Awaitable<void> FeedEtcdWatch(EtcdClient& client, EtcdWatchSpec spec, std::shared_ptr<Watch::Feed> feed) {
  int attempts = 0;
  Event cancelled;
  auto subscription = feed->cancel.OnCancel([&cancelled](CancelReason) { cancelled.Set(); });
  while (!feed->events.closed()) {
    const bool delivered = co_await RunStream(client, spec, *feed);
    attempts = delivered ? 0 : attempts + 1;
    if (attempts > kImmediateAttempts) {
      const auto wait = std::chrono::seconds(std::min(attempts - kImmediateAttempts, 30));
      co_await cancelled.WaitUntil(client.clock(), client.clock().After(wait));
    }
  }
}

}  // namespace multigres::topo
