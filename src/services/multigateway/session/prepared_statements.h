// The statements that a client has prepared, by Parse or by PREPARE: one name space for both.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tools/result/error.h"

namespace multigres::gateway::engine {
class Plan;
}

namespace multigres::gateway::session {

// What was prepared. Immutable, shared by sessions and portals.
struct StatementSource {
  std::string query;                         // the client's text; empty = no statement
  std::vector<std::uint32_t> param_types;    // as declared; 0 or missing = PostgreSQL infers
  std::shared_ptr<const engine::Plan> plan;  // null iff the query is empty
};
using StatementSourcePtr = std::shared_ptr<const StatementSource>;

struct PreparedStatement {
  StatementSourcePtr source;
  bool from_sql = false;  // by PREPARE
  // A backend has accepted it. Until then Parse may replace it: a lazily parsed statement can turn out to be bad only
  // when it is first described or executed, and drivers then Parse again.
  bool validated = false;
};

class PreparedStatements {
 public:
  // 42P05 if a validated statement has that name. The unnamed statement ("") is always replaced.
  Result<> Add(std::string name, PreparedStatement statement);
  // Null if absent. Valid until the next change.
  PreparedStatement* Find(std::string_view name);
  // 26000 if absent.
  Result<PreparedStatement*> Get(std::string_view name);
  // False if absent.
  bool Remove(std::string_view name);
  void Clear() { statements_.clear(); }
  std::size_t size() const { return statements_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::unordered_map<std::string, PreparedStatement, Hash, std::equal_to<>> statements_;
};

}  // namespace multigres::gateway::session
