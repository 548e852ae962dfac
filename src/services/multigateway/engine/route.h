// The usual plan: the statement goes to the backend as the client wrote it.
#pragma once

#include <vector>

#include "common/sqlparse/statement.h"
#include "services/multigateway/engine/plan.h"
#include "services/multigateway/engine/result_forwarder.h"

namespace multigres::gateway::engine {

// Sends the context's statement or portal with `pinning` and gives the stream to `sink`. What primitives share.
Awaitable<Result<>> Forward(PlanContext& context, const Pinning& pinning, queryservice::ResultSink& sink);
// Runs `sql` of the gateway's own (no rows wanted by the client).
Awaitable<Result<>> RunInternally(PlanContext& context, std::string_view sql, queryservice::ResultSink& sink);
// Sends the tag, or PortalSuspended where a portal's stream ended without one.
void Complete(PlanContext& context, const ResultForwarder& forwarder);

struct RouteOptions {
  std::vector<PgDiagnostic> warnings;  // sent before the tag
};

class Route final : public Primitive {
 public:
  explicit Route(RouteOptions options = {}) : options_(std::move(options)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  RouteOptions options_;
};

// DECLARE ... WITH HOLD: the cursor outlives its transaction.
class DeclareHoldCursor final : public Primitive {
 public:
  explicit DeclareHoldCursor(std::string name) : name_(std::move(name)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "DeclareHoldCursor(" + name_ + ")"; }

 private:
  std::string name_;
};

// CLOSE; no name = ALL. Gives back what a WITH HOLD cursor held.
class CloseCursor final : public Primitive {
 public:
  explicit CloseCursor(std::string name) : name_(std::move(name)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "CloseCursor(" + (name_.empty() ? "all" : name_) + ")"; }

 private:
  std::string name_;
};

// A SELECT of set_config(..., false): made local where the backend is anybody's, and tracked like SET.
class SetConfigSelect final : public Primitive {
 public:
  // Flag offsets are relative to the statement's text.
  explicit SetConfigSelect(std::vector<sqlparse::SetConfigCall> calls) : calls_(std::move(calls)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  std::string MadeLocal(std::string_view sql) const;

  std::vector<sqlparse::SetConfigCall> calls_;
};

}  // namespace multigres::gateway::engine
