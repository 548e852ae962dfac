// All pools of one reactor: one a user, and the superuser's for the pooler's own work.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "services/multipooler/connpool/user_pool.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"

namespace multigres::pooler::connpool {

// Users appear with their first request and are forgotten when nobody has asked for a while. Stop() must be awaited.
class PoolSet {
 public:
  struct UserStats {
    std::string user;
    PoolStats stats;
  };

  // `admin_limit`: connections that the admin pool of this reactor may have.
  PoolSet(Reactor& reactor, const PoolConfig& config, PermitBudget& budget, Random& random, Logger logger,
          std::size_t admin_limit);
  ~PoolSet();

  void Start();
  Awaitable<void> Stop();

  // A connection of `user`; as UserPool::Acquire(). INVALID_ARGUMENT for an empty user.
  Awaitable<Result<Lease>> Acquire(std::string user, LabelRef wanted, Secret secret, pgclient::Bounds bounds);
  // A connection of the admin user with no settings.
  Awaitable<Result<Lease>> AcquireAdmin(pgclient::Bounds bounds);

  // PostgreSQL was restarted: idle connections go, lent ones when they come back.
  void DropAll();

  LabelCache& labels() { return labels_; }
  StatementNames& statement_names() { return statement_names_; }
  const LabelRef& clean_label() const { return clean_; }
  const PoolConfig& config() const { return config_; }
  Reactor& reactor() { return reactor_; }
  std::vector<UserStats> Stats() const;

 private:
  Awaitable<void> Maintain();
  void ForgetInactive();
  bool CloseOneIdle();

  Reactor& reactor_;
  const PoolConfig& config_;
  PermitBudget& budget_;
  Random& random_;
  Logger logger_;
  LabelCache labels_;
  LabelRef clean_;
  StatementNames statement_names_;
  std::unique_ptr<UserPool> admin_;
  std::map<std::string, std::unique_ptr<UserPool>, std::less<>> users_;
  TaskGroup tasks_;
};

// Dresses a borrowed connection: after it, the backend wears `wanted` and this application name. Costs a round trip if
// the settings differ, and nothing if they don't. The statement isn't sent along: if a setting is refused, it must not
// run. A server error (a value that isn't valid, a role that is gone) is the client's; the connection is to be closed
// then, as it is after an interruption. Nothing of the client's has run.
Awaitable<Result<>> Dress(Backend& backend, const LabelRef& wanted, const LabelRef& clean,
                          std::string_view application_name, pgclient::Bounds bounds);

}  // namespace multigres::pooler::connpool
