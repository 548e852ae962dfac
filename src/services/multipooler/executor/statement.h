// One statement on its way out: what is sent for it, and what its success has prepared.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "multipoolerservice.pb.h"
#include "services/multipooler/executor/executor.h"
#include "services/multipooler/executor/result_pump.h"

namespace multigres::pooler::executor {

struct Executor::Statement {
  virtual ~Statement() = default;

  // Queues the statement. `after_begin`: the extended BEGIN stands before it in the same pipeline and has no Sync of
  // its own. May be called again, for another connection, after Failed().
  virtual void Send(connpool::Backend& backend, bool after_begin) = 0;
  // What PostgreSQL reads of it.
  virtual std::string_view Text() const = 0;
  // After the reply: `pumped` says what succeeded.
  virtual void Finished(connpool::Backend& backend, const PumpResult& pumped) {}
  // Shall it be sent once more on this connection after this error? (A cached plan that no longer fits.)
  virtual bool RetryOnSameConnection(connpool::Backend& backend, const PumpResult& pumped) { return false; }

  bool passthrough = true;
  bool hold_sync = false;         // ends with Flush: the implicit transaction stays open
  std::string portal_name;        // of the portal that it runs
  bool portal_is_open = false;    // one of that name was bound earlier in the transaction
  std::size_t parses_before = 0;  // Parse messages of others in the pipeline (BEGIN's)
};

// Might this be PREPARE TRANSACTION? What that has prepared outlives its connection. In doubt yes.
bool MayPrepareTransaction(std::string_view sql);

// By the simple protocol.
class SimpleStatement final : public Executor::Statement {
 public:
  explicit SimpleStatement(std::string sql) : sql_(std::move(sql)) {}
  void Send(connpool::Backend& backend, bool after_begin) override;
  std::string_view Text() const override { return sql_; }

 private:
  std::string sql_;
};

// A server-side prepared statement, made when the connection lacks it, in the same flush as what uses it.
class NamedStatement : public Executor::Statement {
 public:
  NamedStatement(connpool::StatementNames& names, const ::query::PreparedStatement& statement);
  void Finished(connpool::Backend& backend, const PumpResult& pumped) override;
  std::string_view Text() const override { return statement_.query(); }

 protected:
  // Queues the Parse if it is needed.
  void SendParse(connpool::Backend& backend);
  const std::string& name() const { return name_; }
  const ::query::PreparedStatement& prepared() const { return statement_; }

 private:
  const ::query::PreparedStatement& statement_;
  std::string name_;
  bool parsing_ = false;
};

// SQL EXECUTE: the statement is prepared under the pooler's name, which then stands in the text.
class SqlExecuteStatement final : public NamedStatement {
 public:
  SqlExecuteStatement(connpool::StatementNames& names, const ::query::PreparedStatement& statement, std::string prefix,
                      std::string suffix)
      : NamedStatement(names, statement), prefix_(std::move(prefix)), suffix_(std::move(suffix)) {}
  void Send(connpool::Backend& backend, bool after_begin) override;

 private:
  std::string prefix_;
  std::string suffix_;
};

// Parse as the unnamed statement, for its errors and locks alone.
class UnnamedParseStatement final : public Executor::Statement {
 public:
  explicit UnnamedParseStatement(const ::query::PreparedStatement& statement) : statement_(statement) {}
  void Send(connpool::Backend& backend, bool after_begin) override;
  std::string_view Text() const override { return statement_.query(); }

 private:
  const ::query::PreparedStatement& statement_;
};

// Bind, perhaps Describe, Execute; or, to resume a suspended portal, Execute alone.
class PortalStatement final : public NamedStatement {
 public:
  struct Options {
    std::uint64_t max_rows = 0;
    bool describe = false;
    bool resume = false;
    bool hold_sync = false;
  };
  PortalStatement(connpool::StatementNames& names, const ::query::PreparedStatement& statement,
                  const ::query::Portal& portal, Options options)
      : NamedStatement(names, statement), portal_(portal), options_(options) {}
  void Send(connpool::Backend& backend, bool after_begin) override;
  bool RetryOnSameConnection(connpool::Backend& backend, const PumpResult& pumped) override;

 private:
  const ::query::Portal& portal_;
  Options options_;
  bool retried_ = false;
};

// Describes a statement, or what a portal of it would return.
class DescribeStatement final : public NamedStatement {
 public:
  // `portal` may be null.
  DescribeStatement(connpool::StatementNames& names, const ::query::PreparedStatement& statement,
                    const ::query::Portal* portal)
      : NamedStatement(names, statement), portal_(portal) {}
  void Send(connpool::Backend& backend, bool after_begin) override;

 private:
  const ::query::Portal* portal_;
};

// Reads the reply to a DescribeStatement, up to its end. Interrupted, it cancels nothing and closes the connection.
struct Description {
  Result<multipoolerservice::DescribeResponse> response;
  int parses_completed = 0;
};
Awaitable<Description> ReadDescription(pgclient::Connection& connection, queryservice::CallScope scope);

// Queues Bind with the portal's parameters and formats, as portal `portal_name`.
void SendBind(connpool::Backend& backend, const ::query::Portal& portal, std::string_view portal_name,
              std::string_view statement_name);

}  // namespace multigres::pooler::executor
