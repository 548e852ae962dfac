// The connections of one PostgreSQL user on one reactor.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/multipooler/connpool/backend.h"
#include "services/multipooler/connpool/permit_budget.h"
#include "services/multipooler/connpool/pool_config.h"
#include "tools/async/reactor.h"
#include "tools/random/random.h"

namespace multigres::pooler::connpool {

// How a user's connections authenticate.
using Secret = decltype(pgclient::ConnectOptions::secret);

class UserPool;

// A borrowed connection. Release() puts it back; a lease that is just dropped closes it, which is always safe.
class [[nodiscard]] Lease {
 public:
  Lease() = default;
  Lease(UserPool* pool, std::unique_ptr<Backend> backend) : pool_(pool), backend_(std::move(backend)) {}
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease() { Close(); }

  explicit operator bool() const { return backend_ != nullptr; }
  Backend& operator*() const { return *backend_; }
  Backend* operator->() const { return backend_.get(); }

  // Back to the pool, wearing `label`, if it is fit for another (in sync, outside a transaction, not tainted, not past
  // its lifetime); else closed. Runs no SQL.
  void Release(LabelRef label);
  void Close();
  UserPool* pool() const { return pool_; }

 private:
  UserPool* pool_ = nullptr;
  std::unique_ptr<Backend> backend_;
};

struct PoolStats {
  std::size_t open = 0;
  std::size_t idle = 0;
  std::size_t lent = 0;
  std::size_t waiting = 0;
};

// Waiters are served in the order of arrival, except that a returned connection goes first to the oldest waiter that
// wants exactly its settings, past others at most kMaxSkips times. The pool must outlive its leases.
class UserPool {
 public:
  struct Environment {
    Reactor& reactor;
    const PoolConfig& config;
    PermitBudget& budget;
    Random& random;
  };
  static constexpr int kMaxSkips = 8;

  // `exempt`: these connections count against `own_limit` and not against the budget (the admin pool).
  UserPool(Environment environment, std::string user, LabelRef clean, std::optional<std::size_t> own_limit = {});
  ~UserPool();
  UserPool(const UserPool&) = delete;
  UserPool& operator=(const UserPool&) = delete;

  // A connection wearing, in this order of preference: `wanted`; nothing; newly made; whatever it has on. The borrower
  // changes it. Waits for one while there is none; only the bounds end that. A dial that fails with SQLSTATE class 28
  // is tried once more with the caller's `secret`, which replaces the pool's if it is right. Nothing ran whatever the
  // error. PRE_EXECUTION_UNAVAILABLE: the server can't be reached or takes no connections now, with its diagnostic if
  // it gave one; another diagnostic of it; DEADLINE_EXCEEDED, CANCELED.
  Awaitable<Result<Lease>> Acquire(LabelRef wanted, Secret secret, pgclient::Bounds bounds);

  // Connections that lie idle are closed, borrowed ones when they come back.
  void DropAll();
  // Closes what has been idle or has lived too long; how many.
  std::size_t CloseExpired();
  // Closes the connection that has been idle longest, giving its permit back. False if none is idle.
  bool CloseOneIdle();

  const std::string& user() const { return user_; }
  const LabelRef& clean() const { return clean_; }
  PoolStats stats() const;
  TimePoint last_used() const { return last_used_; }
  // Nobody uses or waits for it.
  bool unused() const { return open_ == 0 && waiters_.empty() && acquiring_ == 0; }
  // Set by the owner: how many pools share the budget with this one.
  void set_sharers(std::size_t sharers) { sharers_ = sharers; }

 private:
  friend class Lease;
  struct Waiter {
    LabelRef wanted;
    TimePoint since;
    int skipped = 0;
    Event served{};                    // NOLINT(readability-redundant-member-init): Event has no implicit constructor
    std::unique_ptr<Backend> backend;  // given
    bool permit = false;               // or the right to open one
    std::optional<std::uint64_t> budget_ticket;
  };

  std::unique_ptr<Backend> TakeIdle(const LabelRef& wanted, bool any);
  bool TryTakePermit();
  void ReturnPermit();
  Awaitable<Result<std::unique_ptr<Backend>>> Obtain(LabelRef wanted, Secret& secret, pgclient::Bounds bounds);
  Awaitable<Result<std::unique_ptr<Backend>>> WaitForOne(LabelRef wanted, Secret& secret, pgclient::Bounds bounds);
  // Consumes a permit: the connection holds it, or it has been returned.
  Awaitable<Result<std::unique_ptr<Backend>>> Open(Secret& secret, pgclient::Bounds bounds);
  Awaitable<Result<std::unique_ptr<pgclient::Connection>>> Dial(Secret secret, pgclient::Bounds bounds);
  void GiveBack(std::unique_ptr<Backend> backend, LabelRef label);
  void Discard(std::unique_ptr<Backend> backend);
  bool OthersAreDue() const;
  Waiter* NextWaiterFor(const LabelRef& label);

  Environment env_;
  std::string user_;
  LabelRef clean_;
  std::optional<std::size_t> own_limit_;
  std::optional<Secret> secret_;                // what the last successful dial used
  std::vector<std::unique_ptr<Backend>> idle_;  // oldest first
  std::list<Waiter*> waiters_;
  std::size_t open_ = 0;  // with a permit: idle, lent or being dialled
  std::size_t lent_ = 0;
  std::size_t acquiring_ = 0;
  std::size_t sharers_ = 1;
  std::uint64_t generation_ = 0;  // DropAll() closes all older ones
  TimePoint last_used_;
};

}  // namespace multigres::pooler::connpool
