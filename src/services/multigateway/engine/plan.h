// A planned statement: immutable, shared by sessions through the plan cache, so nothing in it depends on one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "services/multigateway/engine/client_sink.h"
#include "services/multigateway/engine/iexecute.h"

namespace multigres::gateway::engine {

// One run of a plan. Lives as long as the run.
struct PlanContext {
  IExecute& execute;
  session::Session& session;
  ClientSink& sink;
  std::string_view sql;  // the client's text of this statement
  CallScope scope;
  // Extended protocol.
  session::Portal* portal = nullptr;
  std::uint64_t max_rows = 0;
  bool include_describe = false;
};

// One step that a plan takes. Plans of one shard have one; a scatter over many would be a tree.
class Primitive {
 public:
  virtual ~Primitive() = default;
  // Everything but ErrorResponse and ReadyForQuery goes to the sink. The caller has seen to a failed transaction, and
  // sees to it that an error fails an open one.
  virtual Awaitable<Result<>> Execute(PlanContext& context) const = 0;
  // One line, for tests and the plan cache's page: "Route(temp_table)".
  virtual std::string Describe() const = 0;
};

class Plan {
 public:
  struct Traits {
    bool allowed_in_failed = false;  // ROLLBACK, ROLLBACK TO, COMMIT, PREPARE TRANSACTION
    bool transaction_control = false;
    // The description of the portal (and of the statement) is the backend's; otherwise it has no rows, or is synthetic.
    bool describable = false;
    bool cacheable = false;
  };

  Plan(std::unique_ptr<const Primitive> primitive, Traits traits) : primitive_(std::move(primitive)), traits_(traits) {}

  const Primitive& primitive() const { return *primitive_; }
  const Traits& traits() const { return traits_; }

 private:
  std::unique_ptr<const Primitive> primitive_;
  Traits traits_;
};

using PlanPtr = std::shared_ptr<const Plan>;

}  // namespace multigres::gateway::engine
