#include "services/multigateway/session/prepared_statements.h"

#include <fmt/format.h>

namespace multigres::gateway::session {

Result<> PreparedStatements::Add(std::string name, PreparedStatement statement) {
  auto [it, inserted] = statements_.try_emplace(std::move(name));
  if (!inserted && !it->first.empty() && it->second.validated) {
    return Fail(Code::kAlreadyExists, "42P05", fmt::format("prepared statement \"{}\" already exists", it->first));
  }
  it->second = std::move(statement);
  return {};
}

PreparedStatement* PreparedStatements::Find(std::string_view name) {
  auto it = statements_.find(name);
  return it == statements_.end() ? nullptr : &it->second;
}

Result<PreparedStatement*> PreparedStatements::Get(std::string_view name) {
  PreparedStatement* found = Find(name);
  if (found != nullptr) return found;
  if (name.empty()) return Fail(Code::kNotFound, "26000", "unnamed prepared statement does not exist");
  return Fail(Code::kNotFound, "26000", fmt::format("prepared statement \"{}\" does not exist", name));
}

bool PreparedStatements::Remove(std::string_view name) {
  auto it = statements_.find(name);
  if (it == statements_.end()) return false;
  statements_.erase(it);
  return true;
}

}  // namespace multigres::gateway::session
