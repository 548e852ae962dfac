// SET and RESET: the gateway's map of settings is the authority, PostgreSQL judges what may go into it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/sqlparse/statement.h"
#include "services/multigateway/engine/plan.h"
#include "services/multigateway/session/gateway_variables.h"

namespace multigres::gateway::engine {

// SET name = value, and SET SESSION CHARACTERISTICS. Where the backend is anybody's, PostgreSQL is asked by
// set_config(..., is_local => true) for the canonical value; where the session holds its own, the statement runs there.
class SetVariable final : public Primitive {
 public:
  explicit SetVariable(std::vector<sqlparse::Assignment> assignments) : assignments_(std::move(assignments)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  std::vector<sqlparse::Assignment> assignments_;
};

// RESET name, or SET name TO DEFAULT.
class ResetVariable final : public Primitive {
 public:
  ResetVariable(std::string name, std::string tag) : name_(std::move(name)), tag_(std::move(tag)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "ResetVariable(" + name_ + ")"; }

 private:
  std::string name_;
  std::string tag_;
};

class ResetAll final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "ResetAll"; }
};

// SET, SET LOCAL, RESET and SHOW of what the gateway enforces itself.
class SetGatewayVariable final : public Primitive {
 public:
  // nullopt = back to the default.
  SetGatewayVariable(session::GatewayVariable variable, std::optional<std::string> value, bool local, std::string tag)
      : variable_(variable), value_(std::move(value)), local_(local), tag_(std::move(tag)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  session::GatewayVariable variable_;
  std::optional<std::string> value_;
  bool local_;
  std::string tag_;
};

class ShowGatewayVariable final : public Primitive {
 public:
  explicit ShowGatewayVariable(session::GatewayVariable variable) : variable_(variable) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  bool DescribeColumns(::query::StatementDescription& description) const override;
  std::string ToString() const override;

 private:
  session::GatewayVariable variable_;
};

}  // namespace multigres::gateway::engine
