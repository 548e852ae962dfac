// How ScatterConn finds the pooler for a call.
#pragma once

#include <string_view>

#include "common/queryservice/query_service.h"

namespace query {
class Target;
}

namespace multigres::gateway::scatterconn {

class QueryRouter {
 public:
  // A pooler that serves the target now. 57P03 `no writable primary is currently available` or `no replica is
  // currently available`. Valid until the caller next waits.
  virtual Result<queryservice::QueryService*> QueryServiceFor(const ::query::Target& target) = 0;
  // The pooler of that topology name, whatever its state: for reserved connections. Null if it is gone.
  virtual queryservice::QueryService* QueryServiceByID(std::string_view pooler_id) = 0;

 protected:
  ~QueryRouter() = default;
};

}  // namespace multigres::gateway::scatterconn
