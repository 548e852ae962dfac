#include "services/multipooler/executor/copy_session.h"

#include <algorithm>

#include "common/mterrors/conditions.h"
#include "common/mterrors/diagnostic_proto.h"
#include "common/pgclient/query.h"

namespace multigres::pooler::executor {

using multipoolerservice::CopyBidiExecuteRequest;
using multipoolerservice::CopyBidiExecuteResponse;
using queryservice::CallScope;
using queryservice::CopyStream;

namespace {

constexpr std::size_t kLowWater = std::size_t{256} * 1024;
constexpr Duration kCleanUpTime = std::chrono::seconds(5);

// See result_pump.cc; here the notice has been read already. (Our servers speak English.)
bool EndsSyncWait(const PgDiagnostic& notice) {
  return notice.message.starts_with("canceling") && notice.message.find("synchronous replication") != std::string::npos;
}

// Makes the server fail a COPY FROM, as the client wants: what the server says to that, usually 57014.
Awaitable<Error> ErrorOfFailing(pgclient::Connection& connection, std::string reason, pgclient::Bounds bounds) {
  connection.SendCopyFail(reason);
  std::optional<Error> failure;
  while (true) {
    auto message = co_await connection.NextReply(bounds);
    if (!message) co_return std::move(message.error());
    if (message->type == pgwire::kErrorResponse && !failure) failure = pgclient::ErrorOf(*message);
    if (message->type == pgwire::kReadyForQuery && connection.pipeline().empty()) break;
  }
  if (failure) co_return std::move(*failure);
  co_return Error(Code::kAborted, std::string(mterrors::kQueryCanceled), "COPY from stdin failed: " + reason);
}

// Ends a COPY FROM whose client is gone, then gives the connection up.
Awaitable<void> Abandon(std::shared_ptr<Reservation> reservation, ReservationTable& table, Clock& clock) {
  (void)co_await pgclient::FailCopyIn(*reservation->lease->connection, "client connection lost",
                                      {clock.After(kCleanUpTime), nullptr});
  // Its session is gone or has lost count: nobody can go on with it.
  if (reservation->id != 0) {
    table.Kill(*reservation);
  }
  reservation->lease.Close();
  reservation->busy = false;
  reservation->freed.Pulse();
}

}  // namespace

CopySession::CopySession(Executor& executor, std::shared_ptr<Reservation> reservation,
                         const CopyBidiExecuteRequest& initiate, CallScope scope)
    : executor_(executor),
      reservation_(std::move(reservation)),
      options_(initiate.options()),
      from_stdin_(initiate.direction() == CopyBidiExecuteRequest::FROM_STDIN),
      autocommits_(connection().transaction_status() == pgwire::TransactionStatus::kIdle),
      interruption_(connection(), executor.tasks_, scope) {
  connection().set_handlers({.on_notice = [this](PgDiagnostic&& notice) { notices_.push_back(std::move(notice)); },
                             .on_notification = {},
                             .on_parameter = {}});
}

CopySession::~CopySession() {
  if (reservation_ == nullptr) return;
  connection().set_handlers({});
  if (from_stdin_ && !connection().broken()) {
    executor_.tasks_.Spawn("abandoned copy",
                           Abandon(reservation_, executor_.reservations_, executor_.pools_.reactor().clock()));
    return;
  }
  if (reservation_->id != 0) executor_.reservations_.Kill(*reservation_);
  reservation_->lease.Close();
  executor_.Unclaim(*reservation_);
}

Awaitable<void> CopySession::Start(std::string sql) {
  auto started = co_await pgclient::StartCopy(connection(), std::move(sql), bounds());
  if (!started) {
    co_await EndInError(std::move(started.error()));
    co_return;
  }
  const char expected = from_stdin_ ? pgwire::kCopyInResponse : pgwire::kCopyOutResponse;
  if (started->direction != expected) {
    connection().Close();
    co_await EndInError(Error(Code::kInvalidArgument, "08P01", "COPY goes in the other direction"));
    co_return;
  }
  reservation_->reasons |= reason::kCopy;
  reservation_->ever |= reason::kCopy;
  if (reservation_->id == 0) executor_.reservations_.Add(reservation_);
  Response ready;
  ready.set_phase(Response::READY);
  ready.set_format(started->format);
  for (const auto format : started->column_formats) ready.add_column_formats(format);
  ready.set_allocated_reserved_state(executor_.StateOf(*reservation_).release());
  TakeNotices(ready);
  queued_.push_back(std::move(ready));
}

Awaitable<Result<>> CopySession::Send(const CopyBidiExecuteRequest& message) {
  if (reservation_ == nullptr) co_return Fail(Code::kFailedPrecondition, "COPY has ended");
  switch (message.phase()) {
    case CopyBidiExecuteRequest::DATA:
    case CopyBidiExecuteRequest::DONE:
      if (!from_stdin_) co_return Fail(Code::kInvalidArgument, "data for a COPY TO STDOUT");
      if (!message.data().empty()) connection().SendCopyData(message.data());
      if (message.phase() == CopyBidiExecuteRequest::DONE) co_return co_await Finish(false, {});
      if (connection().unsent() > kLowWater) {
        auto flushed = co_await connection().Flush(bounds(), kLowWater);
        if (!flushed) {
          co_await EndInError(std::move(flushed.error()));
          co_return Fail(Code::kAborted, "COPY failed");
        }
      }
      co_return Result<>{};
    case CopyBidiExecuteRequest::FAIL:
      if (!from_stdin_) co_return Fail(Code::kInvalidArgument, "failure of a COPY TO STDOUT");
      co_return co_await Finish(true, message.error_message());
    default:
      co_return Fail(Code::kInvalidArgument, "unexpected phase in a COPY stream");
  }
}

Awaitable<Result<>> CopySession::Finish(bool failed, std::string reason) {
  if (failed) {
    co_await EndInError(co_await ErrorOfFailing(connection(), reason, bounds()));
    co_return Result<>{};
  }
  data_done_ = true;
  auto tag = co_await pgclient::FinishCopyIn(connection(), bounds());
  if (tag) {
    co_await Succeed(std::move(*tag));
  } else {
    co_await EndInError(std::move(tag.error()));
  }
  co_return Result<>{};
}

Awaitable<Result<bool>> CopySession::Receive(CopyBidiExecuteResponse& message) {
  while (queued_.empty()) {
    if (failure_) co_return std::unexpected(std::move(*std::exchange(failure_, std::nullopt)));
    if (reservation_ == nullptr) co_return false;
    if (!from_stdin_) co_return co_await ReceiveData(message);
    co_await changed_.Wait();
  }
  message = std::move(queued_.front());
  queued_.pop_front();
  co_return true;
}

Awaitable<Result<bool>> CopySession::ReceiveData(CopyBidiExecuteResponse& message) {
  std::string tag;
  auto data = co_await pgclient::NextCopyData(connection(), tag, bounds());
  message.Clear();
  if (data && *data) {
    message.set_phase(CopyBidiExecuteResponse::DATA);
    message.set_data(std::string(**data));
    co_return true;
  }
  if (!data) {
    co_await EndInError(std::move(data.error()));
  } else {
    co_await Succeed(std::move(tag));
  }
  message = std::move(queued_.front());
  queued_.pop_front();
  co_return true;
}

Awaitable<void> CopySession::Succeed(std::string tag) {
  if (std::ranges::any_of(notices_, EndsSyncWait)) {
    reservation_->lease->tainted = true;
    co_await EndInError(mterrors::OutcomeUnknown("the wait for synchronous replication was cancelled"));
    co_return;
  }
  Response last;
  last.set_phase(Response::RESULT);
  last.mutable_result()->set_command_tag(tag);
  if (const auto space = tag.rfind(' '); space != std::string::npos) {
    last.mutable_result()->set_rows_affected(std::strtoull(tag.c_str() + space + 1, nullptr, 10));
  }
  co_await Release(last);
  queued_.push_back(std::move(last));
  changed_.Pulse();
}

Awaitable<void> CopySession::EndInError(Error error) {
  error = Meaning(std::move(error));
  Response last;
  last.set_phase(Response::ERROR);
  last.set_error(error.message());
  if (error.diagnostic() != nullptr) mterrors::ToProto(*error.diagnostic(), *last.mutable_error_diagnostic());
  co_await Release(last);
  failure_ = std::move(error);
  queued_.push_back(std::move(last));
  changed_.Pulse();
}

Error CopySession::Meaning(Error error) {
  const bool timed_out = interruption_.reason() == CancelReason::kDeadline;
  if (pgclient::IsInterrupted(error)) {
    connection().Close();
    if (MayHaveCommitted()) return NotCancelledInTime();
    return timed_out ? mterrors::StatementTimeout() : mterrors::CanceledByUser();
  }
  if (!connection().broken()) {
    return timed_out && error.sqlstate() == mterrors::kQueryCanceled ? mterrors::StatementTimeout() : error;
  }
  // Before READY nobody holds the reservation yet.
  if (reservation_->id != 0) return executor_.Lost(*reservation_, std::move(error), MayHaveCommitted());
  if (error.diagnostic() != nullptr || !pgclient::IsConnectionError(error)) return error;
  return MayHaveCommitted() ? mterrors::OutcomeUnknown() : mterrors::TemporarilyUnavailable();
}

Awaitable<void> CopySession::Release(CopyBidiExecuteResponse& last) {
  if (!connection().broken() && !co_await interruption_.Settle()) connection().Close();
  TakeNotices(last);
  connection().set_handlers({});
  const auto reservation = std::exchange(reservation_, nullptr);
  reservation->reasons &= ~reason::kCopy;
  if (!reservation->lease->connection->broken()) {
    const bool in_block = reservation->lease->connection->transaction_status() != pgwire::TransactionStatus::kIdle;
    reservation->reasons =
        in_block ? reservation->reasons | reason::kTransaction : reservation->reasons & ~reason::kTransaction;
    reservation->ever |= reservation->reasons;
  }
  const bool relabel = (reservation->ever & ~(reason::kCopy)) == 0;
  auto state = co_await executor_.Settle(reservation, relabel ? executor_.LabelOf(options_) : nullptr,
                                         ApplicationNameOf(options_));
  if (state != nullptr) last.set_allocated_reserved_state(state.release());
}

void CopySession::TakeNotices(CopyBidiExecuteResponse& message) {
  for (const auto& notice : std::exchange(notices_, {})) mterrors::ToProto(notice, *message.add_notices());
}

Awaitable<Result<std::unique_ptr<CopyStream>>> Executor::CopyBidiExecute(const CopyBidiExecuteRequest& initiate,
                                                                         CallScope scope) {
  auto claimed = co_await Claim(initiate.options(), scope);
  if (!claimed) co_return std::unexpected(std::move(claimed.error()));
  const auto reservation = *claimed;
  const auto& wanted = initiate.reservation_options();
  const bool idle = reservation->lease->connection->transaction_status() == pgwire::TransactionStatus::kIdle;
  if ((wanted.reasons() & reason::kTransaction) != 0 && idle && !reservation->pipeline_open) {
    auto begun = co_await pgclient::QuerySimple(*reservation->lease->connection,
                                                wanted.begin_query().empty() ? "BEGIN" : wanted.begin_query(),
                                                {scope.deadline, scope.cancel});
    if (!begun) {
      auto error = std::move(begun.error());
      // A refused BEGIN leaves the connection in sync but the session without what it asked for.
      if (reservation->id == 0) reservation->lease->connection->Close();
      (void)co_await Settle(reservation, nullptr, {});
      co_return std::unexpected(std::move(error));
    }
    reservation->reasons |= reason::kTransaction;
    reservation->ever |= reason::kTransaction;
  }
  auto session = std::make_unique<CopySession>(*this, reservation, initiate, scope);
  co_await session->Start(initiate.query());
  co_return session;
}

}  // namespace multigres::pooler::executor
