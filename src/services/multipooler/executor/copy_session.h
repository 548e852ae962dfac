// A COPY between a gateway and PostgreSQL.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/pgclient/copy.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/executor.h"
#include "services/multipooler/executor/interruption.h"

namespace multigres::pooler::executor {

// Holds the session's reservation, busy, until the COPY has ended either way. Dropped before, it is aborted in the
// background: a COPY FROM by CopyFail; a COPY TO has no abort of its own, so its connection is closed. One whose scope
// ends is cancelled, and ends as PostgreSQL says: it may be committing already (08007 if nobody can tell).
class CopySession final : public queryservice::CopyStream {
 public:
  CopySession(Executor& executor, std::shared_ptr<Reservation> reservation,
              const multipoolerservice::CopyBidiExecuteRequest& initiate, queryservice::CallScope scope);
  ~CopySession() override;

  // Sends the statement. What comes of it, READY or ERROR, is the first message to receive.
  Awaitable<void> Start(std::string sql);

  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override;
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override;

 private:
  using Response = multipoolerservice::CopyBidiExecuteResponse;

  pgclient::Bounds bounds() { return interruption_.bounds(); }
  pgclient::Connection& connection() { return *reservation_->lease->connection; }
  Awaitable<Result<>> Finish(bool failed, std::string reason);
  Awaitable<Result<bool>> ReceiveData(Response& message);
  // Queues RESULT, or what makes it an unknown outcome.
  Awaitable<void> Succeed(std::string tag);
  // Queues the ERROR frame; the error itself follows it.
  Awaitable<void> EndInError(Error error);
  // What an error of the connection's or PostgreSQL's means to the session.
  Error Meaning(Error error);
  // May PostgreSQL have committed it, if nobody hears of its end?
  bool MayHaveCommitted() const { return autocommits_ && (!from_stdin_ || data_done_); }
  Awaitable<void> Release(Response& last);
  void TakeNotices(Response& message);

  Executor& executor_;
  std::shared_ptr<Reservation> reservation_;  // null once it has been settled
  ::query::ExecuteOptions options_;
  bool from_stdin_;
  bool autocommits_;
  bool data_done_ = false;  // CopyDone has been sent
  std::deque<Response> queued_;
  std::vector<PgDiagnostic> notices_;
  std::optional<Error> failure_;
  Event changed_;
  Interruption interruption_;
};

}  // namespace multigres::pooler::executor
