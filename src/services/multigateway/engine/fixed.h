// Plans that need no backend and no state: an error, or a tag.
#pragma once

#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

class Reject final : public Primitive {
 public:
  explicit Reject(Error error) : error_(std::move(error)) {}
  Awaitable<Result<>> Execute(PlanContext& /*context*/) const override { co_return std::unexpected(error_); }
  const Error& error() const { return error_; }
  std::string ToString() const override { return "Reject(" + error_.sqlstate() + " " + error_.message() + ")"; }

 private:
  Error error_;
};

class FixedTag final : public Primitive {
 public:
  explicit FixedTag(std::string tag) : tag_(std::move(tag)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override {
    if (context.columns == ColumnsWanted::kDescribeResponse) context.sink.NoData();
    context.sink.CommandComplete(tag_);
    co_return Result<>();
  }
  std::string ToString() const override { return "FixedTag(" + tag_ + ")"; }

 private:
  std::string tag_;
};

// A statement without result columns ends: its tag, after the answer to a fused Describe.
inline void CompleteWithoutRows(PlanContext& context, std::string_view tag) {
  if (context.columns == ColumnsWanted::kDescribeResponse) context.sink.NoData();
  context.sink.CommandComplete(tag);
}

}  // namespace multigres::gateway::engine
