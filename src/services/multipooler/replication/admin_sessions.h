// The manager's own sessions with its PostgreSQL, as the superuser, apart from the pools that serve clients.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/pgclient/connection.h"
#include "common/pgclient/query.h"
#include "tools/async/reactor.h"
#include "tools/result/error.h"

namespace multigres::pooler::replication {

struct AdminOptions {
  Address address;  // the unix socket, or TCP
  std::string user = "postgres";
  std::string password;
  std::string database = "postgres";
};

// Keeps a few idle sessions. Lives on one reactor. Everything has a deadline, so that a frozen server can't hold its
// callers.
class AdminSessions {
 public:
  AdminSessions(Reactor& reactor, AdminOptions options) : reactor_(reactor), options_(std::move(options)) {}

  // Simple protocol; several statements give the last one's result. UNAVAILABLE (did not execute) if there is no
  // server; DEADLINE_EXCEEDED leaves open whether it happened.
  Awaitable<Result<pgclient::QueryResult>> Query(std::string sql, Deadline deadline);
  // The first column of the first row; empty if there is none or it is NULL.
  Awaitable<Result<std::string>> Scalar(std::string sql, Deadline deadline);

  // A session for several statements. Give it back with Return(), or drop it to close it.
  Awaitable<Result<std::unique_ptr<pgclient::Connection>>> Take(Deadline deadline);
  void Return(std::unique_ptr<pgclient::Connection> session);
  // What every session runs once, when it is opened: PREPARE, so that what is asked often isn't planned each time.
  void BeginWith(std::string sql) { first_statement_ = std::move(sql); }
  // Closes the idle ones: after the server went.
  void DropIdle() { idle_.clear(); }

  const AdminOptions& options() const { return options_; }
  Reactor& reactor() { return reactor_; }
  Clock& clock() { return reactor_.clock(); }

 private:
  Reactor& reactor_;
  const AdminOptions options_;
  std::string first_statement_;
  std::vector<std::unique_ptr<pgclient::Connection>> idle_;
};

}  // namespace multigres::pooler::replication
