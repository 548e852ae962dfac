// A pooler for tests: one reserved backend, statements answered by their text, and a log of every call.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/queryservice/query_service.h"
#include "multipoolerservice.pb.h"
#include "services/multigateway/scatterconn/query_router.h"

namespace multigres::gateway::executor {

// Answers: "fail..." with an error 22012; set_config by its value; BEGIN and so on are the gateway's; anything else by
// one row "1" and the tag "SELECT 1", or the scripted tag.
class FakePooler final : public queryservice::QueryService, public scatterconn::QueryRouter {
 public:
  // The calls, one a line, since the last take: "query 'select 1' begin'BEGIN' reasons=1".
  std::vector<std::string> TakeLog() { return std::exchange(log_, {}); }
  // Tags of statements whose text begins so.
  std::map<std::string, std::string> tags;
  // The next COMMIT fails with a deferred constraint.
  bool fail_commit = false;
  // The backend is gone: what needs it answers 40001.
  void KillBackend() { backend_killed_ = true; }
  bool unavailable = false;
  // Errors of the next calls that run or describe something, COMMIT among them; the call is logged and changes nothing.
  std::deque<Error> failures;
  // The next COPY is lost once it has begun: by its first data, or else by its end.
  std::optional<Error> copy_failure;
  // Rows of a portal with a row limit, left to give.
  int portal_rows = 5;
  multipoolerservice::StreamExecuteRequest last_query;
  multipoolerservice::PortalStreamExecuteRequest last_portal;
  std::vector<std::string> copied;

  Result<queryservice::QueryService*> QueryServiceFor(const ::query::Target& target) override;
  queryservice::QueryService* QueryServiceByID(std::string_view pooler_id) override;

  Awaitable<queryservice::ExecuteOutcome> StreamExecute(const multipoolerservice::StreamExecuteRequest& request,
                                                        queryservice::CallScope scope,
                                                        queryservice::ResultSink& sink) override;
  Awaitable<queryservice::ExecuteOutcome> PortalStreamExecute(
      const multipoolerservice::PortalStreamExecuteRequest& request, queryservice::CallScope scope,
      queryservice::ResultSink& sink) override;
  Awaitable<Result<multipoolerservice::DescribeResponse>> Describe(const multipoolerservice::DescribeRequest& request,
                                                                   queryservice::CallScope scope) override;
  Awaitable<Result<std::unique_ptr<queryservice::CopyStream>>> CopyBidiExecute(
      const multipoolerservice::CopyBidiExecuteRequest& initiate, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ConcludeTransactionResponse>> ConcludeTransaction(
      const multipoolerservice::ConcludeTransactionRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::DiscardTempTablesResponse>> DiscardTempTables(
      const multipoolerservice::DiscardTempTablesRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::ReleaseReservedConnectionResponse>> ReleaseReservedConnection(
      const multipoolerservice::ReleaseReservedConnectionRequest& request, queryservice::CallScope scope) override;
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> GetAuthCredentials(
      const multipoolerservice::GetAuthCredentialsRequest& request, queryservice::CallScope scope) override;

 private:
  // Logs, reserves, and answers with the statement's error, if it has one.
  Result<> Take(std::string line, const std::string& sql, const ::query::ExecuteOptions& options,
                const ::query::ReservationOptions& reservation);
  std::unique_ptr<::query::ReservedState> State() const;
  std::string TagOf(const std::string& sql) const;

  std::vector<std::string> log_;
  std::uint64_t next_id_ = 100;
  std::uint64_t backend_ = 0;
  std::uint32_t reasons_ = 0;
  bool backend_killed_ = false;
};

}  // namespace multigres::gateway::executor
