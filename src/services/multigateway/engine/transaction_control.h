// BEGIN, COMMIT, ROLLBACK, savepoints and PREPARE TRANSACTION, with BEGIN deferred to the first statement.
#pragma once

#include <optional>
#include <string>

#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

struct BeginOptions {
  bool start_transaction = false;  // its tag says so
  bool sets_isolation_or_deferrable = false;
  std::optional<bool> read_only;
};

class Begin final : public Primitive {
 public:
  explicit Begin(BeginOptions options) : options_(options) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "Begin"; }

 private:
  // In an implicit block: the client's block takes over what the batch has done so far.
  Awaitable<Result<>> Adopt(PlanContext& context) const;
  std::string_view Tag() const { return options_.start_transaction ? "START TRANSACTION" : "BEGIN"; }

  BeginOptions options_;
};

class EndTransaction final : public Primitive {
 public:
  EndTransaction(Conclusion conclusion, bool chain) : conclusion_(conclusion), chain_(chain) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  Awaitable<Result<>> OutsideABlock(PlanContext& context) const;
  Awaitable<Result<>> OnBackend(PlanContext& context) const;
  std::string_view Verb() const { return conclusion_ == Conclusion::kCommit ? "COMMIT" : "ROLLBACK"; }

  Conclusion conclusion_;
  bool chain_;
};

enum class SavepointAction : std::uint8_t { kSavepoint, kRelease, kRollbackTo };

class SavepointControl final : public Primitive {
 public:
  SavepointControl(SavepointAction action, std::string name) : action_(action), name_(std::move(name)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  std::string_view Verb() const;

  SavepointAction action_;
  std::string name_;
};

// Ends the block, whatever its result.
class PrepareTransaction final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "PrepareTransaction"; }
};

// Commits or rolls back what a batch or a pipeline has begun by itself; notices go to the client. A failed commit has
// rolled back.
Awaitable<Result<>> ConcludeImplicit(IExecute& execute, session::Session& session, Conclusion conclusion,
                                     CallScope scope, ClientSink& client);

}  // namespace multigres::gateway::engine
