// ManagerHealthStream: a full snapshot at first, on every change, when asked, and as a heartbeat.
#include "services/multipooler/manager/manager_service.h"
#include "services/multipooler/manager/on_manager.h"
#include "tools/async/task_group.h"

namespace multigres::pooler::manager {

namespace data = ::multipoolermanagerdata;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kDefaultInterval = seconds(5);
constexpr Duration kLeastInterval = milliseconds(100);
constexpr Duration kDefaultStaleness = seconds(90);

template <class Message>
void SetTime(Message& to, std::int64_t ns) {
  to.set_seconds(ns / 1000000000);
  to.set_nanos(static_cast<std::int32_t>(ns % 1000000000));
}

Duration DurationOr(bool given, const google::protobuf::Duration& duration, Duration otherwise) {
  if (!given) return otherwise;
  return std::max<Duration>(kLeastInterval, seconds(duration.seconds()) + std::chrono::nanoseconds(duration.nanos()));
}

// One stream, on its connection's reactor.
class HealthSession {
 public:
  using Stream = ManagerService::HealthStream;
  HealthSession(rpc::ServerContext& context, Stream& stream, PoolerManager& manager)
      : context_(context), stream_(stream), manager_(manager), tasks_(context.reactor().executor()) {}

  Awaitable<Result<>> Run() {
    data::ManagerHealthStreamClientMessage first;
    auto read = co_await stream_.Read(first);
    if (!read) co_return std::unexpected(std::move(read.error()));
    if (!*read || !first.has_start()) {
      co_return Fail(Code::kInvalidArgument, "the first message of a health stream must be `start`");
    }
    auto started = co_await Answer(first.start());
    if (!started) co_return started;
    auto subscription = manager_.health().Listen(context_.reactor(), [this](const PoolerManager::HealthState& state) {
      state_ = state;
      wake_.Set();
    });
    auto cancelled = context_.cancel().OnCancel([this](CancelReason) {
      over_ = true;
      wake_.Set();
    });
    tasks_.Spawn("health stream reader", ReadPolls());
    auto result = co_await SendSnapshots();
    cancelled.Reset();
    subscription.Reset();
    co_await tasks_.CancelAndJoin();
    co_return result;
  }

 private:
  Awaitable<Result<>> Answer(const data::ManagerHealthStreamStartRequest& start) {
    interval_ = DurationOr(start.has_snapshot_interval(), start.snapshot_interval(), kDefaultInterval);
    staleness_ = DurationOr(start.has_staleness_timeout(), start.staleness_timeout(), kDefaultStaleness);
    data::ManagerHealthStreamResponse response;
    SetTime(*response.mutable_start()->mutable_snapshot_interval(), interval_.count());
    SetTime(*response.mutable_start()->mutable_staleness_timeout(), staleness_.count());
    co_return co_await stream_.Write(response);
  }

  Awaitable<void> ReadPolls() {
    while (true) {
      data::ManagerHealthStreamClientMessage message;
      auto read = co_await stream_.Read(message);
      if (!read || !*read) break;
      if (message.has_poll()) polled_ = true;
      wake_.Set();
    }
    over_ = true;
    wake_.Set();
  }

  Awaitable<Result<>> SendSnapshots() {
    Clock& clock = context_.reactor().clock();
    std::uint64_t sent_changes = 0;
    bool sent_any = false;
    Deadline heartbeat = clock.After(interval_);
    while (true) {
      (void)co_await wake_.WaitUntil(clock, heartbeat);
      wake_.Reset();
      if (over_) co_return Result<>();
      const bool due = heartbeat.Passed(clock.Now());
      data::SnapshotTrigger trigger = data::SNAPSHOT_TRIGGER_UNSPECIFIED;
      if (state_.snapshot && !sent_any) {
        trigger = data::SNAPSHOT_TRIGGER_INITIAL;
      } else if (polled_) {
        polled_ = false;
        auto fresh = co_await Fresh();
        if (fresh) state_.snapshot = std::move(*fresh);
        trigger = data::SNAPSHOT_TRIGGER_POLL;
      } else if (state_.snapshot && state_.changes != sent_changes) {
        trigger = data::SNAPSHOT_TRIGGER_BROADCAST;
      } else if (state_.snapshot && due) {
        trigger = data::SNAPSHOT_TRIGGER_HEARTBEAT;
      }
      if (trigger != data::SNAPSHOT_TRIGGER_UNSPECIFIED && state_.snapshot) {
        sent_any = true;
        sent_changes = state_.changes;
        if (!Send(trigger)) co_return Fail(Code::kResourceExhausted, "health stream: the client reads too slowly");
        heartbeat = clock.After(interval_);
      } else if (due) {
        heartbeat = clock.After(interval_);
      }
      if (state_.ended) co_return Result<>();
    }
  }

  Awaitable<Result<PoolerManager::Snapshot>> Fresh() {
    co_return co_await OnManager<PoolerManager::Snapshot>(
        context_, manager_, [](PoolerManager& manager) -> Awaitable<Result<PoolerManager::Snapshot>> {
          co_return co_await manager.FreshStatus();
        });
  }

  bool Send(data::SnapshotTrigger trigger) {
    data::ManagerHealthStreamResponse response;
    data::ManagerHealthSnapshot& snapshot = *response.mutable_snapshot();
    *snapshot.mutable_status() = *state_.snapshot;
    snapshot.set_trigger(trigger);
    SetTime(*snapshot.mutable_timeout(), staleness_.count());
    SetTime(*snapshot.mutable_captured_at(), context_.reactor().clock().WallNow().time_since_epoch().count());
    return stream_.TryWrite(response);
  }

  rpc::ServerContext& context_;
  Stream& stream_;
  PoolerManager& manager_;
  Duration interval_ = kDefaultInterval;
  Duration staleness_ = kDefaultStaleness;
  PoolerManager::HealthState state_;
  bool polled_ = false;
  bool over_ = false;
  Event wake_;
  TaskGroup tasks_;
};

}  // namespace

Awaitable<Result<>> ManagerService::ManagerHealthStream(Context& context, HealthStream& stream) {
  HealthSession session(context, stream, manager_);
  co_return co_await session.Run();
}

}  // namespace multigres::pooler::manager
