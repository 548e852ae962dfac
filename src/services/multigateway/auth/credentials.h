// What the gateway knows of a role while a client of it logs in.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "common/queryservice/query_service.h"
#include "tools/async/reactor.h"

namespace multigres::gateway::buffer {
class FailoverBuffer;
}

namespace multigres::gateway::auth {

using Credentials = std::shared_ptr<const multipoolerservice::GetAuthCredentialsResponse>;

// Asks a pooler for a role's credentials. Lookups of the same role and database at the same time are one, and an answer
// is good for a second: a storm of logins costs the server a query. While no server can be asked it waits in the
// failover buffer. One reactor.
class CredentialSource {
 public:
  // All must outlive the source.
  CredentialSource(Reactor& reactor, queryservice::QueryService& pooler, buffer::FailoverBuffer& buffer);

  // Null for a role that doesn't exist. Errors as the client shall see them (57P03 while no pooler can be asked).
  Awaitable<Result<Credentials>> LookUp(std::string database, std::string user, Deadline deadline);

 private:
  struct Lookup {
    Event done;
    bool finished = false;
    Result<Credentials> result = Credentials();
    TimePoint finished_at;
  };
  using Key = std::pair<std::string, std::string>;
  void ForgetOld();
  Awaitable<Result<multipoolerservice::GetAuthCredentialsResponse>> Ask(std::string database, std::string user,
                                                                        Deadline deadline);

  Reactor& reactor_;
  queryservice::QueryService& pooler_;
  buffer::FailoverBuffer& buffer_;
  std::map<Key, std::shared_ptr<Lookup>> lookups_;
};

}  // namespace multigres::gateway::auth
