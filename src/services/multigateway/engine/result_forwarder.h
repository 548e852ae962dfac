// Takes a statement's stream from the pooler and gives it to the client.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/queryservice/query_service.h"
#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

// Passes on columns (if the client expects them), rows and notices; keeps the command tag for its owner; notes the
// parameters that a held backend reports.
class ResultForwarder final : public queryservice::ResultSink {
 public:
  explicit ResultForwarder(PlanContext& context)
      : session_(context.session), client_(context.sink), columns_(context.columns) {}

  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override;

  // Empty = the stream ended without one: the portal is suspended.
  const std::string& tag() const { return tag_; }

 private:
  void OnResult(::query::QueryResult& result);

  session::Session& session_;
  ClientSink& client_;
  ColumnsWanted columns_;  // still
  std::string tag_;
};

// Reads one row of text for the gateway itself.
class RowReader final : public queryservice::ResultSink {
 public:
  explicit RowReader(session::Session& session) : session_(session) {}

  Awaitable<Result<>> OnPayload(::query::QueryResultPayload& payload) override;

  // The first row's columns; nullopt = NULL. Empty if there was no row.
  const std::vector<std::optional<std::string>>& columns() const { return columns_; }

 private:
  session::Session& session_;
  std::vector<std::optional<std::string>> columns_;
};

}  // namespace multigres::gateway::engine
