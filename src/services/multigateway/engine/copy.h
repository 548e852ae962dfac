// COPY FROM STDIN and COPY TO STDOUT.
#pragma once

#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

class CopyFromStdin final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "CopyFromStdin"; }
};

class CopyToStdout final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "CopyToStdout"; }
};

}  // namespace multigres::gateway::engine
