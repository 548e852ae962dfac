// A COPY between a gateway and PostgreSQL.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "common/pgclient/copy.h"
#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/executor.h"

namespace multigres::pooler::executor {

// Holds the session's reservation, busy, until the COPY has ended either way. Dropped before, it is aborted in the
// background: a COPY FROM by CopyFail; a COPY TO has no abort of its own, so its connection is closed.
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

  pgclient::Bounds bounds() const { return {scope_.deadline, scope_.cancel}; }
  pgclient::Connection& connection() { return *reservation_->lease->connection; }
  Awaitable<Result<>> Finish(bool failed, std::string reason);
  Awaitable<Result<bool>> ReceiveData(Response& message);
  Awaitable<void> Succeed(std::string tag);
  // Queues the ERROR frame; the error itself follows it.
  // `may_commit`: PostgreSQL may have ended it well, outside a transaction.
  Awaitable<void> EndInError(Error error, bool may_commit = false);
  Awaitable<void> Release(Response& last);
  void TakeNotices(Response& message);

  Executor& executor_;
  std::shared_ptr<Reservation> reservation_;  // null once it has been settled
  queryservice::CallScope scope_;
  ::query::ExecuteOptions options_;
  std::uint32_t reasons_;
  bool from_stdin_;
  std::deque<Response> queued_;
  std::vector<PgDiagnostic> notices_;
  std::optional<Error> failure_;
  Event changed_;
};

}  // namespace multigres::pooler::executor
