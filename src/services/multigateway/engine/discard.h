// DISCARD ALL and DISCARD TEMP.
#pragma once

#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

// Never sent: gives back the backend and forgets what the session has gathered. The seed (setseed) stays.
class DiscardAll final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "DiscardAll"; }
};

class DiscardTemp final : public Primitive {
 public:
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "DiscardTemp"; }
};

}  // namespace multigres::gateway::engine
