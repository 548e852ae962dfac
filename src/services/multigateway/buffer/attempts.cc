#include "services/multigateway/buffer/attempts.h"

#include <utility>

#include "common/mterrors/conditions.h"
#include "tools/async/event.h"

namespace multigres::gateway::buffer {

using Outcome = FailoverBuffer::Outcome;

namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);

bool NeverSent(const Error& error) {
  return error.execution() == Execution::kDidNotExecute && error.code() == Code::kPreExecutionUnavailable;
}

// No leader, a leader that is leaving, a backend that couldn't be had: nothing ran, and a leader would do it.
bool LacksLeader(const Error& error) {
  if (error.execution() != Execution::kDidNotExecute) return false;
  return error.code() == Code::kPreExecutionUnavailable || error.sqlstate() == mterrors::kPlannedFailover ||
         mterrors::IsConnectionError(error);
}

// A pooler's or the router's word that the shard has no leader there.
bool DeniesLeader(const Error& error) {
  if (error.execution() != Execution::kDidNotExecute) return false;
  return error.sqlstate() == mterrors::kPlannedFailover ||
         (error.sqlstate() == mterrors::kCannotConnectNow && error.code() == Code::kUnavailable);
}

}  // namespace

bool Attempts::MustWaitFirst() const {
  return traits_.reserves && traits_.primary && !buffer_.idle() &&
         buffer_.Buffers(ShardName(traits_.database, traits_.table_group, traits_.shard));
}

Awaitable<Result<>> Attempts::Begin() {
  auto outcome = co_await WaitForLeader();
  if (!outcome) co_return std::unexpected(std::move(outcome.error()));
  co_return Result<>();
}

bool Attempts::MayFollow(const Error& error, bool delivered, const std::function<bool()>& replay_safe_read_only) const {
  if (delivered) return false;
  if (traits_.replay == Replay::kIfUnsent) return NeverSent(error);
  if (error.code() == Code::kReadOnly) return traits_.primary && replay_safe_read_only && replay_safe_read_only();
  if (LacksLeader(error)) return true;
  if (traits_.replay == Replay::kAlways) return mterrors::IsConnectionError(error);
  // What the server itself said is the client's to judge: somebody may have wanted the statement dead.
  if (traits_.replay == Replay::kIfUncommitted) return !error.diagnostic() && mterrors::IsConnectionError(error);
  return false;
}

Awaitable<Result<Outcome>> Attempts::WaitForLeader() {
  const TimePoint since = waiting_since_.value_or(clock_.Now());
  auto waited = co_await buffer_.Wait(ShardName(traits_.database, traits_.table_group, traits_.shard), since, scope_,
                                      client_gone_);
  if (!waited) co_return std::unexpected(std::move(waited.error()));
  if (waited->outcome == Outcome::kWaited) waiting_since_ = since;
  turn_ = std::move(waited->turn);
  co_return waited->outcome;
}

Awaitable<bool> Attempts::Again(Error& error, bool delivered, std::function<bool()> replay_safe_read_only) {
  turn_.Reset();
  if (!MayFollow(error, delivered, replay_safe_read_only)) co_return false;
  const bool first = !std::exchange(tried_, true);
  const bool buffered = traits_.primary && traits_.replay != Replay::kIfUnsent;
  if (buffered && (!waiting_since_ || DeniesLeader(error))) {
    auto outcome = co_await WaitForLeader();
    if (!outcome) {
      error = std::move(outcome.error());
      co_return false;
    }
    if (*outcome == Outcome::kWaited) co_return true;
    if (*outcome == Outcome::kRetry && first) co_return true;
    if (*outcome == Outcome::kNoWait && !NeverSent(error)) {
      buffer_.CountFailedUnbuffered();
      co_return false;
    }
  }
  // There may be another replica than the one that was tried, but not one where there is none.
  const bool tried = NeverSent(error) || error.sqlstate() == mterrors::kPlannedFailover;
  if (!traits_.primary && !tried) co_return false;
  if (pauses_ == kMaxPauses) {
    if (!waiting_since_ && traits_.primary) buffer_.CountFailedUnbuffered();
    co_return false;
  }
  co_return co_await Pause(error);
}

Awaitable<bool> Attempts::Pause(Error& error) {
  Event ended;
  CancelToken::Subscription cancelled;
  if (scope_.cancel != nullptr) cancelled = scope_.cancel->OnCancel([&ended](CancelReason) { ended.Set(); });
  const Deadline until = clock_.After(kFirstPause * (1 << pauses_++));
  co_await ended.WaitUntil(clock_, until.Earlier(scope_.deadline));
  if (scope_.cancel != nullptr && scope_.cancel->IsCancelled()) {
    const bool timed_out = scope_.cancel->reason() == CancelReason::kDeadline;
    error = timed_out ? mterrors::StatementTimeout() : mterrors::CanceledByUser();
    co_return false;
  }
  if (scope_.deadline.Passed(clock_.Now())) {
    error = mterrors::StatementTimeout();
    co_return false;
  }
  co_return true;
}

}  // namespace multigres::gateway::buffer
