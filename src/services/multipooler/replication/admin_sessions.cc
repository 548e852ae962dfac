#include "services/multipooler/replication/admin_sessions.h"

namespace multigres::pooler::replication {

namespace {

constexpr std::size_t kMaxIdle = 4;

}  // namespace

Awaitable<Result<std::unique_ptr<pgclient::Connection>>> AdminSessions::Take(Deadline deadline) {
  while (!idle_.empty()) {
    auto session = std::move(idle_.back());
    idle_.pop_back();
    if (session->CheckIdle()) co_return std::move(session);
  }
  pgclient::ConnectOptions connect;
  connect.address = options_.address;
  connect.user = options_.user;
  connect.database = options_.database;
  connect.parameters = {{"application_name", "multigres"}, {"client_encoding", "UTF8"}, {"statement_timeout", "0"}};
  if (!options_.password.empty()) connect.secret = options_.password;
  pgclient::Bounds bounds;
  bounds.deadline = deadline;
  auto session = co_await pgclient::Connection::Open(reactor_, std::move(connect), bounds);
  if (!session || first_statement_.empty()) co_return session;
  auto begun = co_await pgclient::QuerySimple(**session, first_statement_, bounds);
  if (!begun) co_return std::unexpected(std::move(begun.error()).WithExecution(Execution::kDidNotExecute));
  co_return session;
}

void AdminSessions::Return(std::unique_ptr<pgclient::Connection> session) {
  if (session->is_idle() && idle_.size() < kMaxIdle) idle_.push_back(std::move(session));
}

Awaitable<Result<pgclient::QueryResult>> AdminSessions::Query(std::string sql, Deadline deadline) {
  auto session = co_await Take(deadline);
  if (!session) co_return std::unexpected(std::move(session.error()));
  pgclient::Bounds bounds;
  bounds.deadline = deadline;
  auto result = co_await pgclient::QuerySimple(**session, std::move(sql), bounds);
  Return(std::move(*session));
  co_return result;
}

Awaitable<Result<std::string>> AdminSessions::Scalar(std::string sql, Deadline deadline) {
  auto result = co_await Query(std::move(sql), deadline);
  if (!result) co_return std::unexpected(std::move(result.error()));
  co_return result->Scalar().value_or("");
}

}  // namespace multigres::pooler::replication
