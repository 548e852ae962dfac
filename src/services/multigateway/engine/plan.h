// A planned statement: immutable, shared by sessions through the plan cache, so nothing in it depends on one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "services/multigateway/engine/client_sink.h"
#include "services/multigateway/engine/iexecute.h"

namespace multigres::gateway::engine {

class Plan;

// Whether a result begins with its columns.
enum class ColumnsWanted : std::uint8_t {
  kNone,              // Execute of a portal that has been described already
  kRowDescription,    // Query
  kDescribeResponse,  // Execute with a fused Describe: RowDescription or NoData
};

// One run of a plan. Lives as long as the run.
struct PlanContext {
  IExecute& execute;
  session::Session& session;
  ClientSink& sink;
  const Plan& plan;
  std::string_view sql;  // the client's text of this statement
  CallScope scope;
  // Extended protocol.
  session::Portal* portal = nullptr;
  std::uint64_t max_rows = 0;
  ColumnsWanted columns = ColumnsWanted::kRowDescription;
};

// One step that a plan takes. Plans for one shard have one; a scatter over many would be a tree.
class Primitive {
 public:
  virtual ~Primitive() = default;
  // Everything but ErrorResponse and ReadyForQuery goes to the sink. The caller has seen to a failed transaction, and
  // sees to it that an error fails an open one.
  virtual Awaitable<Result<>> Execute(PlanContext& context) const = 0;
  // The columns, if the gateway makes them itself: filled in and true. Otherwise Plan::Traits tell.
  virtual bool DescribeColumns(::query::StatementDescription& /*description*/) const { return false; }
  // One line, for tests and status pages: "Route(temp_table)".
  virtual std::string ToString() const = 0;
};

struct PlanTraits {
  // May run in a failed transaction: ROLLBACK, ROLLBACK TO, COMMIT, PREPARE TRANSACTION.
  bool allowed_in_failed = false;
  // A backend can describe the statement. Otherwise the primitive does, or it returns no rows.
  bool backend_describes = false;
  // Goes to the backend as it stands, so that it can also run below PREPARE.
  bool plain = false;
  // Its plan doesn't depend on its literals.
  bool cacheable = false;
};

class Plan {
 public:
  Plan(std::unique_ptr<const Primitive> primitive, PlanTraits traits, Pinning pinning = {})
      : primitive_(std::move(primitive)), traits_(traits), pinning_(std::move(pinning)) {}

  const Primitive& primitive() const { return *primitive_; }
  const PlanTraits& traits() const { return traits_; }
  const Pinning& pinning() const { return pinning_; }
  std::string ToString() const;

 private:
  std::unique_ptr<const Primitive> primitive_;
  PlanTraits traits_;
  Pinning pinning_;
};

using PlanPtr = std::shared_ptr<const Plan>;

}  // namespace multigres::gateway::engine
