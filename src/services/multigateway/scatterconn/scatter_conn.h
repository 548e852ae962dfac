// Sends a session's statements where they belong: to the backend that it holds, or to a pooler that serves its target.
// Keeps the session's reservation as the poolers report it. What provably didn't run is sent again, after a wait for a
// leader if there is none (buffer::Attempts); a statement whose outcome is unknown (08007) never is. One shard today; a
// statement over several would be split and merged here.
#pragma once

#include "services/multigateway/buffer/attempts.h"
#include "services/multigateway/engine/iexecute.h"
#include "services/multigateway/scatterconn/query_router.h"

namespace clustermetadata {
class ID;
}

namespace query {
class ReservationOptions;
class ReservedState;
class Target;
}  // namespace query

namespace multigres::gateway::scatterconn {

class RequestCache;

class ScatterConn final : public engine::IExecute {
 public:
  // One per reactor, with the reactor's router, buffer and clock.
  ScatterConn(QueryRouter& router, buffer::FailoverBuffer& buffer, Clock& clock)
      : router_(router), buffer_(buffer), clock_(clock) {}

  Awaitable<Result<>> StreamExecute(session::Session& session, engine::StatementCall call, engine::CallScope scope,
                                    queryservice::ResultSink& sink) override;
  Awaitable<Result<>> PortalStreamExecute(session::Session& session, engine::PortalCall call, engine::CallScope scope,
                                          queryservice::ResultSink& sink) override;
  Awaitable<Result<std::unique_ptr<::query::StatementDescription>>> Describe(session::Session& session,
                                                                             const session::StatementSource& source,
                                                                             const session::Portal* portal,
                                                                             engine::CallScope scope) override;
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyExecute(session::Session& session,
                                                                           std::string_view sql, bool from_stdin,
                                                                           engine::CallScope scope) override;
  Awaitable<Result<std::unique_ptr<::query::QueryResult>>> ConcludeTransaction(session::Session& session,
                                                                               engine::Conclusion conclusion,
                                                                               bool chain,
                                                                               engine::CallScope scope) override;
  Awaitable<Result<>> DiscardTempTables(session::Session& session, engine::CallScope scope) override;
  Awaitable<Result<>> ReleaseReservedConnection(session::Session& session, bool keep_sticky,
                                                engine::CallScope scope) override;

 private:
  using CallScope = engine::CallScope;

  static RequestCache& Requests(session::Session& session);
  // The pooler for the session's next call.
  Result<queryservice::QueryService*> Route(session::Session& session);
  // The pooler that holds the session's backend. 40001 if it is gone; the reservation is then forgotten.
  Result<queryservice::QueryService*> Holder(session::Session& session);

  buffer::Attempts AttemptsFor(session::Session& session, const ::query::Target& target, bool reserves,
                               buffer::Replay replay, CallScope scope);
  // Sends a statement, as often as it takes and may be. `request` is the session's own and stays as it is.
  template <class Request>
  Awaitable<Result<>> Run(session::Session& session, const Request& request, const engine::Pinning* pinning,
                          Awaitable<queryservice::ExecuteOutcome> (queryservice::QueryService::*method)(
                              const Request&, CallScope, queryservice::ResultSink&),
                          CallScope scope, queryservice::ResultSink& sink);
  // A backend that was reserved for a statement that is going to run elsewhere.
  Awaitable<void> GiveBack(session::Session& session, const clustermetadata::ID& pooler_id,
                           std::uint64_t connection_id);
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> OpenCopy(
      session::Session& session, const multipoolerservice::CopyBidiExecuteRequest& initiate, CallScope scope);

  QueryRouter& router_;
  buffer::FailoverBuffer& buffer_;
  Clock& clock_;
};

}  // namespace multigres::gateway::scatterconn
