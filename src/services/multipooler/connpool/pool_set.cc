#include "services/multipooler/connpool/pool_set.h"

#include "common/pgclient/query.h"

namespace multigres::pooler::connpool {

namespace {
constexpr Duration kMaintenanceInterval = std::chrono::seconds(1);
}  // namespace

PoolSet::PoolSet(Reactor& reactor, const PoolConfig& config, PermitBudget& budget, Random& random, Logger logger,
                 std::size_t admin_limit)
    : reactor_(reactor),
      config_(config),
      budget_(budget),
      random_(random),
      logger_(std::move(logger)),
      labels_(config.settings_cache_size),
      clean_(std::make_shared<const SettingsLabel>(SettingsLabel::Entries{})),
      statement_names_(config.statement_names),
      admin_(std::make_unique<UserPool>(UserPool::Environment{reactor_, config_, budget_, random_}, config.admin_user,
                                        clean_, admin_limit)),
      tasks_(reactor.executor()) {
  budget_.AddReclaimer(reactor_, [this] { return CloseOneIdle(); });
}

PoolSet::~PoolSet() = default;

void PoolSet::Start() {
  tasks_.Spawn("pool maintenance", Maintain());
}

Awaitable<void> PoolSet::Stop() {
  co_await tasks_.CancelAndJoin();
  DropAll();
}

Awaitable<Result<Lease>> PoolSet::Acquire(std::string user, LabelRef wanted, Secret secret, pgclient::Bounds bounds) {
  if (user.empty()) co_return Fail(Code::kInvalidArgument, "request names no user");
  auto it = users_.find(user);
  if (it == users_.end()) {
    auto pool = std::make_unique<UserPool>(UserPool::Environment{reactor_, config_, budget_, random_}, user, clean_);
    it = users_.emplace(std::move(user), std::move(pool)).first;
    for (auto& [name, other] : users_) other->set_sharers(users_.size());
  }
  co_return co_await it->second->Acquire(std::move(wanted), std::move(secret), bounds);
}

Awaitable<Result<Lease>> PoolSet::AcquireAdmin(pgclient::Bounds bounds) {
  co_return co_await admin_->Acquire(clean_, config_.admin_password, bounds);
}

void PoolSet::DropAll() {
  admin_->DropAll();
  for (auto& [name, pool] : users_) pool->DropAll();
}

bool PoolSet::CloseOneIdle() {
  for (auto& [name, pool] : users_) {
    if (pool->CloseOneIdle()) return true;
  }
  return false;
}

Awaitable<void> PoolSet::Maintain() {
  while (true) {
    co_await SleepFor(reactor_.clock(), kMaintenanceInterval);
    admin_->CloseExpired();
    for (auto& [name, pool] : users_) pool->CloseExpired();
    ForgetInactive();
  }
}

void PoolSet::ForgetInactive() {
  const TimePoint now = reactor_.clock().Now();
  const auto forgotten = std::erase_if(users_, [&](const auto& entry) {
    return entry.second->unused() && now - entry.second->last_used() >= config_.inactive_timeout;
  });
  if (forgotten == 0) return;
  for (auto& [name, pool] : users_) pool->set_sharers(users_.size());
}

std::vector<PoolSet::UserStats> PoolSet::Stats() const {
  std::vector<UserStats> stats;
  stats.reserve(users_.size());
  for (const auto& [name, pool] : users_) stats.push_back({name, pool->stats()});
  return stats;
}

Awaitable<Result<>> Dress(Backend& backend, const LabelRef& wanted, const LabelRef& clean,
                          std::string_view application_name, pgclient::Bounds bounds) {
  std::string sql;
  if (backend.label == wanted) {
    sql = wanted->identity_sql();
  } else {
    if (backend.label != clean) sql = kResetSql;
    if (!wanted->apply_sql().empty()) {
      if (!sql.empty()) sql.append("; ");
      sql.append(wanted->apply_sql());
    }
    // RESET ALL took it away with the rest.
    if (backend.label != clean) backend.application_name.clear();
  }
  if (backend.application_name != application_name) {
    if (!sql.empty()) sql.append("; ");
    sql.append("SELECT pg_catalog.set_config('application_name', ");
    sql.append(pgclient::QuoteLiteral(application_name)).append(", false)");
  }
  if (sql.empty()) co_return Result<>{};
  auto result = co_await pgclient::QuerySimple(*backend.connection, std::move(sql), bounds);
  if (!result) co_return std::unexpected(std::move(result.error()).WithExecution(Execution::kDidNotExecute));
  backend.label = wanted;
  backend.application_name = application_name;
  co_return Result<>{};
}

}  // namespace multigres::pooler::connpool
