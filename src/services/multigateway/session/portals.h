// The portals of a session: bound statements, not yet run, half read or done.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/pgwire/frontend.h"
#include "services/multigateway/session/prepared_statements.h"
#include "tools/result/error.h"

namespace query {
class Portal;
}

namespace multigres::gateway::session {

struct Portal {
  enum class State : std::uint8_t { kReady, kSuspended, kDone };

  Portal(StatementSourcePtr source, std::string statement_name, std::unique_ptr<query::Portal> bound);
  Portal(Portal&&) noexcept;
  Portal& operator=(Portal&&) noexcept;
  ~Portal();

  StatementSourcePtr source;
  std::string statement_name;
  std::unique_ptr<query::Portal> bound;  // as it goes to the pooler
  State state = State::kReady;
};

class Portals {
 public:
  Portals();
  ~Portals();

  // Errors: 22023 `unsupported format code: n`; 42P03 `cursor "n" already exists`. The unnamed portal is replaced.
  Result<Portal*> Bind(StatementSourcePtr source, const pgwire::BindMessage& message);
  // Null if absent. Valid until the next change.
  Portal* Find(std::string_view name);
  // 34000 if absent.
  Result<Portal*> Get(std::string_view name);
  // False if absent.
  bool Remove(std::string_view name);
  void Clear();
  // Names of those that hold a cursor open on a backend.
  std::vector<std::string> Suspended() const;
  bool empty() const { return portals_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::unordered_map<std::string, Portal, Hash, std::equal_to<>> portals_;
};

}  // namespace multigres::gateway::session
