// A COPY stream that keeps its session's reservation up to date.
#pragma once

#include <memory>

#include "common/queryservice/query_service.h"

namespace multigres::gateway::session {
class Session;
}

namespace multigres::gateway::scatterconn {

// The pooler's word on the reservation reaches the session, whatever way the COPY ends; errors are as its client shall
// see them.
class TrackedCopy final : public queryservice::CopyStream {
 public:
  // The session outlives it.
  TrackedCopy(session::Session& session, std::unique_ptr<queryservice::CopyStream> stream, bool from_stdin)
      : session_(session), stream_(std::move(stream)), may_commit_(!from_stdin) {}
  ~TrackedCopy() override;

  Awaitable<Result<>> Send(const multipoolerservice::CopyBidiExecuteRequest& message) override;
  Awaitable<Result<bool>> Receive(multipoolerservice::CopyBidiExecuteResponse& message) override;

 private:
  // Cut off, or given up: the pooler aborts it, and nobody says what came of the backend. One that was held for this
  // alone is given back; another answers for itself when it is next called.
  void Interrupted();

  session::Session& session_;
  std::unique_ptr<queryservice::CopyStream> stream_;
  bool may_commit_;  // outside a transaction: it has been told to, or it is of a statement that may write
  bool ended_ = false;
};

}  // namespace multigres::gateway::scatterconn
