#include "services/multigateway/buffer/failover_buffer.h"

#include "common/mterrors/conditions.h"

namespace multigres::gateway::buffer {

using queryservice::CallScope;
using Admission = FailoverQueue::Admission;
using Verdict = FailoverQueue::Verdict;

namespace {

constexpr Duration kClientCheck = std::chrono::milliseconds(200);

Error ErrorOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFull:
      return mterrors::BufferFull();
    case Verdict::kWindowOver:
      return mterrors::BufferTimeout();
    default:
      return mterrors::BufferShuttingDown();
  }
}

}  // namespace

std::string ShardName(std::string_view database, std::string_view table_group, std::string_view shard) {
  std::string name;
  name.reserve(database.size() + table_group.size() + shard.size() + 2);
  return name.append(table_group).append("/").append(shard).append("/").append(database);
}

FailoverBuffer::Turn& FailoverBuffer::Turn::operator=(Turn&& other) noexcept {
  if (this != &other) {
    Reset();
    owner_ = other.owner_;
    entry_ = std::move(other.entry_);
  }
  return *this;
}

void FailoverBuffer::Turn::Reset() {
  if (entry_ != nullptr) owner_->Leave(*entry_);
  entry_.reset();
}

FailoverBuffer::FailoverBuffer(Clock& clock, const BufferConfig& config, BufferCapacity& capacity,
                               BufferMetrics* metrics, std::function<bool(std::string_view)> serves)
    : clock_(clock),
      enabled_(config.enabled),
      metrics_(metrics),
      queue_(config, capacity, metrics, std::move(serves)) {}

FailoverBuffer::~FailoverBuffer() = default;

Awaitable<Result<FailoverBuffer::Waited>> FailoverBuffer::Wait(std::string shard, TimePoint since, CallScope scope,
                                                               std::function<bool()> client_gone) {
  if (!enabled_) co_return Waited{};
  Event decided;
  Turn turn(this, std::make_unique<FailoverQueue::Entry>(std::move(shard), since));
  FailoverQueue::Entry& entry = *turn.entry_;
  entry.on_verdict = [&decided] { decided.Set(); };
  const Admission admission = queue_.Join(entry, clock_.Now());
  Rearm();
  switch (admission) {
    case Admission::kRetryNow:
      co_return Waited{Outcome::kRetry, {}};
    case Admission::kNoWait:
      co_return Waited{};
    case Admission::kFull:
      co_return std::unexpected(mterrors::BufferFull());
    case Admission::kShutdown:
      co_return std::unexpected(mterrors::BufferShuttingDown());
    case Admission::kQueued:
      break;
  }
  auto awaited = co_await AwaitVerdict(entry, decided, scope, std::move(client_gone));
  entry.on_verdict = {};
  if (!awaited) co_return std::unexpected(std::move(awaited.error()));
  if (*entry.verdict() != Verdict::kRetry) co_return std::unexpected(ErrorOf(*entry.verdict()));
  co_return Waited{Outcome::kWaited, std::move(turn)};
}

Awaitable<Result<void>> FailoverBuffer::AwaitVerdict(FailoverQueue::Entry& entry, Event& decided, CallScope scope,
                                                     std::function<bool()> client_gone) {
  CancelToken::Subscription cancelled;
  if (scope.cancel != nullptr) cancelled = scope.cancel->OnCancel([&decided](CancelReason) { decided.Set(); });
  while (!entry.verdict()) {
    Deadline until = scope.deadline;
    if (client_gone) until = until.Earlier(clock_.After(kClientCheck));
    co_await decided.WaitUntil(clock_, until);
    // A cancel wins over whatever came with it.
    if (scope.cancel != nullptr && scope.cancel->IsCancelled()) {
      const bool timed_out = scope.cancel->reason() == CancelReason::kDeadline;
      co_return std::unexpected(timed_out ? mterrors::StatementTimeout() : mterrors::CanceledByUser());
    }
    if (entry.verdict()) break;
    if (scope.deadline.Passed(clock_.Now())) co_return std::unexpected(mterrors::StatementTimeout());
    if (client_gone && client_gone()) co_return Fail(Code::kCanceled, "08006", "connection to client lost");
  }
  co_return Result<void>();
}

void FailoverBuffer::Leave(FailoverQueue::Entry& entry) {
  queue_.Leave(entry, clock_.Now());
  Rearm();
}

void FailoverBuffer::LeaderServes(std::string_view shard) {
  if (queue_.idle()) return;
  queue_.LeaderServes(shard, clock_.Now());
  Rearm();
}

void FailoverBuffer::ShutDown() {
  queue_.ShutDown(clock_.Now());
  Rearm();
}

void FailoverBuffer::CountFailedUnbuffered() {
  if (metrics_ != nullptr) metrics_->failed_unbuffered.Add();
}

void FailoverBuffer::Rearm() {
  const TimePoint due = queue_.NextDue().value_or(TimePoint::max());
  if (due == armed_for_) return;
  armed_for_ = due;
  timer_ = Timer();
  if (due == TimePoint::max()) return;
  timer_ = clock_.ScheduleAt(due, [this] {
    armed_for_ = TimePoint::max();
    queue_.Tick(clock_.Now());
    Rearm();
  });
}

}  // namespace multigres::gateway::buffer
