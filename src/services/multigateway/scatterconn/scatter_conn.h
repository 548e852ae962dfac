// Sends a session's statements where they belong: to the backend that it holds, or to a pooler that serves its target.
// Keeps the session's reservation as the poolers report it. One shard today; a statement over several would be split
// and merged here.
#pragma once

#include "services/multigateway/engine/iexecute.h"
#include "services/multigateway/scatterconn/query_router.h"

namespace query {
class ReservationOptions;
class ReservedState;
}  // namespace query

namespace multigres::gateway::scatterconn {

class RequestCache;

class ScatterConn final : public engine::IExecute {
 public:
  // One per reactor, with the reactor's router.
  explicit ScatterConn(QueryRouter& router) : router_(router) {}

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
  static RequestCache& Requests(session::Session& session);
  // The pooler for the session's next call.
  Result<queryservice::QueryService*> Route(session::Session& session);
  // The pooler that holds the session's backend. 40001 if it is gone; the reservation is then forgotten.
  Result<queryservice::QueryService*> Holder(session::Session& session);

  QueryRouter& router_;
};

}  // namespace multigres::gateway::scatterconn
