// PREPARE, EXECUTE and DEALLOCATE: the names are the gateway's, the statements are prepared by the pooler where needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/sqlparse/statement.h"
#include "services/multigateway/engine/plan.h"

namespace multigres::gateway::engine {

class Prepare final : public Primitive {
 public:
  // `body_offset`: where `body` begins in the PREPARE statement's text, as do the types' offsets.
  Prepare(std::string name, std::string body, std::size_t body_offset,
          std::vector<sqlparse::Statement::TypeName> type_names, PlanPtr body_plan)
      : name_(std::move(name)),
        body_(std::move(body)),
        body_offset_(body_offset),
        type_names_(std::move(type_names)),
        body_plan_(std::move(body_plan)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override;

 private:
  Awaitable<Result<std::vector<std::uint32_t>>> ResolveTypes(PlanContext& context) const;

  std::string name_;
  std::string body_;
  std::size_t body_offset_;
  std::vector<sqlparse::Statement::TypeName> type_names_;
  PlanPtr body_plan_;
};

// EXECUTE, also below EXPLAIN and CREATE TABLE AS.
class ExecutePrepared final : public Primitive {
 public:
  // The range of the prepared statement's name in this statement's text. `plain`: it is EXECUTE itself, whose columns
  // are those of the statement.
  ExecutePrepared(std::string name, std::size_t name_begin, std::size_t name_end, bool plain)
      : name_(std::move(name)), name_begin_(name_begin), name_end_(name_end), plain_(plain) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "ExecutePrepared(" + name_ + ")"; }
  const std::string& name() const { return name_; }
  bool returns_rows_of_statement() const { return plain_; }

 private:
  std::string name_;
  std::size_t name_begin_;
  std::size_t name_end_;
  bool plain_;
};

// No name = ALL.
class Deallocate final : public Primitive {
 public:
  explicit Deallocate(std::string name) : name_(std::move(name)) {}
  Awaitable<Result<>> Execute(PlanContext& context) const override;
  std::string ToString() const override { return "Deallocate(" + (name_.empty() ? "all" : name_) + ")"; }

 private:
  std::string name_;
};

}  // namespace multigres::gateway::engine
