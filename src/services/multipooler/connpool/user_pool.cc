#include "services/multipooler/connpool/user_pool.h"

#include <algorithm>

#include "common/pgclient/errors.h"
#include "tools/result/check.h"

namespace multigres::pooler::connpool {

namespace {

// An error of getting a connection: whatever it was, no statement ran. Only a server that can't be reached, or doesn't
// take connections now, is worth another try elsewhere; a wrong password stays wrong.
Error NotAcquired(Error error) {
  if (!pgclient::IsConnectionError(error)) return std::move(error).WithExecution(Execution::kDidNotExecute);
  if (error.diagnostic() != nullptr) {
    return Error::FromDiagnostic(*error.diagnostic(), Code::kPreExecutionUnavailable)
        .WithExecution(Execution::kDidNotExecute);
  }
  return Error(Code::kPreExecutionUnavailable, error.sqlstate(), error.message())
      .WithExecution(Execution::kDidNotExecute);
}

bool IsAuthenticationError(const Error& error) {
  return error.sqlstate().starts_with("28");
}

}  // namespace

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    Close();
    pool_ = other.pool_;
    backend_ = std::move(other.backend_);
  }
  return *this;
}

void Lease::Release(LabelRef label) {
  if (backend_ != nullptr) pool_->GiveBack(std::move(backend_), std::move(label));
}

void Lease::Close() {
  if (backend_ == nullptr) return;
  --pool_->lent_;
  pool_->Discard(std::move(backend_));
}

UserPool::UserPool(Environment environment, std::string user, LabelRef clean, std::optional<std::size_t> own_limit)
    : env_(environment),
      user_(std::move(user)),
      clean_(std::move(clean)),
      own_limit_(own_limit),
      last_used_(env_.reactor.clock().Now()) {}

UserPool::~UserPool() {
  CHECK(lent_ == 0 && waiters_.empty(), "pool destroyed while in use");
  while (CloseOneIdle()) {
  }
}

PoolStats UserPool::stats() const {
  return {open_, idle_.size(), lent_, waiters_.size()};
}

bool UserPool::TryTakePermit() {
  const bool taken = own_limit_ ? open_ < *own_limit_ : env_.budget.TryTake();
  if (taken) ++open_;
  return taken;
}

void UserPool::ReturnPermit() {
  --open_;
  if (!own_limit_) {
    env_.budget.Return();
    return;
  }
  for (Waiter* waiter : waiters_) {
    if (waiter->permit || waiter->backend != nullptr) continue;
    ++open_;
    waiter->permit = true;
    waiter->served.Set();
    return;
  }
}

std::unique_ptr<Backend> UserPool::TakeIdle(const LabelRef& wanted, bool any) {
  const auto take = [&](std::size_t index) {
    auto backend = std::move(idle_[index]);
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(index));
    return backend;
  };
  const TimePoint now = env_.reactor.clock().Now();
  // The most recently used first: the rest grows old and goes.
  std::optional<std::size_t> clean;
  for (std::size_t i = idle_.size(); i-- > 0;) {
    if (idle_[i]->expires <= now) continue;
    if (idle_[i]->label == wanted) return take(i);
    if (!clean && idle_[i]->label == clean_) clean = i;
  }
  if (clean) return take(*clean);
  if (any && !idle_.empty()) return take(idle_.size() - 1);
  return nullptr;
}

Awaitable<Result<Lease>> UserPool::Acquire(LabelRef wanted, Secret secret, pgclient::Bounds bounds) {
  ++acquiring_;
  struct Acquiring {
    std::size_t& count;
    ~Acquiring() { --count; }
  } guard{acquiring_};
  last_used_ = env_.reactor.clock().Now();
  while (true) {
    auto backend = co_await Obtain(wanted, secret, bounds);
    if (!backend) co_return std::unexpected(NotAcquired(std::move(backend.error())));
    // What has been lying idle may have been closed from the other end: that is seen before the first byte goes out.
    if (auto fresh = (*backend)->connection->CheckIdle(); !fresh) {
      Discard(std::move(*backend));
      continue;
    }
    ++lent_;
    co_return Lease(this, std::move(*backend));
  }
}

Awaitable<Result<std::unique_ptr<Backend>>> UserPool::Obtain(LabelRef wanted, Secret& secret, pgclient::Bounds bounds) {
  if (waiters_.empty()) {
    if (auto backend = TakeIdle(wanted, false)) co_return backend;
    if (TryTakePermit()) co_return co_await Open(secret, bounds);
    if (auto backend = TakeIdle(wanted, true)) co_return backend;
  }
  co_return co_await WaitForOne(std::move(wanted), secret, bounds);
}

Awaitable<Result<std::unique_ptr<Backend>>> UserPool::WaitForOne(LabelRef wanted, Secret& secret,
                                                                 pgclient::Bounds bounds) {
  Waiter waiter{.wanted = std::move(wanted), .since = env_.reactor.clock().Now()};
  auto place = waiters_.insert(waiters_.end(), &waiter);
  // However the wait ends, even by unwinding: off the list, and nothing given to us is lost.
  struct Leave {
    UserPool& pool;
    Waiter& waiter;
    std::list<Waiter*>::iterator place;
    ~Leave() {
      pool.waiters_.erase(place);
      if (waiter.budget_ticket) pool.env_.budget.Leave(*waiter.budget_ticket);
      if (waiter.backend != nullptr) {
        ++pool.lent_;
        pool.GiveBack(std::move(waiter.backend), nullptr);
      }
      if (waiter.permit) pool.ReturnPermit();
    }
  } leave{*this, waiter, place};
  if (!own_limit_) {
    waiter.budget_ticket = env_.budget.Wait(env_.reactor, waiter.since, [this, &waiter] {
      waiter.budget_ticket.reset();
      ++open_;
      waiter.permit = true;
      waiter.served.Set();
    });
  }
  CancelToken::Subscription cancelled;
  if (bounds.cancel != nullptr) {
    cancelled = bounds.cancel->OnCancel([&waiter](CancelReason) { waiter.served.Set(); });
  }
  const bool in_time = co_await waiter.served.WaitUntil(env_.reactor.clock(), bounds.deadline);
  if (waiter.backend != nullptr) co_return std::move(waiter.backend);
  if (waiter.permit) {
    waiter.permit = false;
    co_return co_await Open(secret, bounds);
  }
  if (in_time && bounds.cancel->reason() != CancelReason::kDeadline) {
    co_return Fail(Code::kCanceled, "57014", "canceling statement due to user request");
  }
  co_return Fail(Code::kDeadlineExceeded, "57014", "canceling statement due to statement timeout");
}

Awaitable<Result<std::unique_ptr<Backend>>> UserPool::Open(Secret& secret, pgclient::Bounds bounds) {
  struct Permit {
    UserPool& pool;
    bool used = false;
    ~Permit() {
      if (!used) pool.ReturnPermit();
    }
  } permit{*this};
  const std::uint64_t generation = generation_;
  const Deadline patience = bounds.deadline;
  bounds.deadline = patience.Earlier(env_.reactor.clock().After(2 * env_.config.dial_timeout));
  const bool own_known = secret_.has_value();
  auto connection = co_await Dial(own_known ? *secret_ : secret, bounds);
  if (!connection && own_known && IsAuthenticationError(connection.error())) {
    // The password has changed since: the caller has proved itself against the new one.
    connection = co_await Dial(secret, bounds);
    if (connection) secret_ = secret;
  }
  if (!connection) {
    // Our own time limit isn't the statement's.
    const bool ours =
        connection.error().code() == Code::kDeadlineExceeded && pgclient::IsInterrupted(connection.error());
    if (ours && !patience.Passed(env_.reactor.clock().Now())) {
      co_return Fail(Code::kUnavailable, "connecting to PostgreSQL took too long");
    }
    co_return std::unexpected(std::move(connection.error()));
  }
  if (!secret_) secret_ = secret;
  permit.used = true;
  auto backend = std::make_unique<Backend>(std::move(*connection), clean_, env_.config.prepared_per_backend);
  backend->generation = generation;
  const auto spread = static_cast<std::int64_t>(env_.config.max_lifetime.count());
  backend->expires =
      env_.config.max_lifetime == Duration::zero()
          ? TimePoint::max()
          : env_.reactor.clock().Now() + env_.config.max_lifetime + Duration(env_.random.Between(0, spread));
  co_return backend;
}

Awaitable<Result<std::unique_ptr<pgclient::Connection>>> UserPool::Dial(Secret secret, pgclient::Bounds bounds) {
  pgclient::ConnectOptions options;
  options.address = env_.config.address;
  options.user = user_;
  options.database = env_.config.database;
  options.secret = std::move(secret);
  co_return co_await pgclient::Connection::Open(env_.reactor, std::move(options), bounds);
}

bool UserPool::OthersAreDue() const {
  if (own_limit_) return false;
  const TimePoint oldest = env_.budget.OldestWait();
  if (oldest == TimePoint::max()) return false;
  if (waiters_.empty()) return true;
  // Others have waited longer than anybody here, and this pool has more than its share.
  return oldest < waiters_.front()->since && open_ * sharers_ > env_.budget.capacity();
}

UserPool::Waiter* UserPool::NextWaiterFor(const LabelRef& label) {
  Waiter* head = nullptr;
  for (Waiter* waiter : waiters_) {
    if (waiter->permit || waiter->backend != nullptr) continue;
    if (head == nullptr) head = waiter;
    if (head->skipped >= kMaxSkips) return head;
    if (waiter->wanted != label) continue;
    for (Waiter* passed : waiters_) {
      if (passed == waiter) break;
      ++passed->skipped;
    }
    return waiter;
  }
  return head;
}

void UserPool::GiveBack(std::unique_ptr<Backend> backend, LabelRef label) {
  --lent_;
  last_used_ = env_.reactor.clock().Now();
  if (label != nullptr) backend->label = std::move(label);
  backend->client_connection_id = 0;
  const bool fit = backend->connection->is_idle() && !backend->connection->broken() && !backend->tainted &&
                   backend->generation == generation_ && last_used_ < backend->expires;
  if (!fit || OthersAreDue()) {
    Discard(std::move(backend));
    return;
  }
  backend->connection->set_handlers({});
  if (Waiter* waiter = NextWaiterFor(backend->label)) {
    if (waiter->budget_ticket) env_.budget.Leave(*std::exchange(waiter->budget_ticket, std::nullopt));
    waiter->backend = std::move(backend);
    waiter->served.Set();
    return;
  }
  backend->idle_since = last_used_;
  idle_.push_back(std::move(backend));
}

void UserPool::Discard(std::unique_ptr<Backend> backend) {
  backend->connection->Close();
  backend.reset();
  ReturnPermit();
}

void UserPool::DropAll() {
  ++generation_;
  while (CloseOneIdle()) {
  }
}

bool UserPool::CloseOneIdle() {
  if (idle_.empty()) return false;
  auto backend = std::move(idle_.front());
  idle_.erase(idle_.begin());
  Discard(std::move(backend));
  return true;
}

std::size_t UserPool::CloseExpired() {
  const TimePoint now = env_.reactor.clock().Now();
  std::vector<std::unique_ptr<Backend>> expired;
  std::erase_if(idle_, [&](std::unique_ptr<Backend>& backend) {
    const bool old = backend->expires <= now || (env_.config.idle_timeout != Duration::zero() &&
                                                 now - backend->idle_since >= env_.config.idle_timeout);
    if (old) expired.push_back(std::move(backend));
    return old;
  });
  for (auto& backend : expired) Discard(std::move(backend));
  return expired.size();
}

}  // namespace multigres::pooler::connpool
