// Everything that the gateway knows about one client between its messages. No I/O; lives on the client's reactor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/multigateway/session/portals.h"
#include "services/multigateway/session/prepared_statements.h"
#include "services/multigateway/session/reported_parameters.h"
#include "services/multigateway/session/reservation.h"
#include "services/multigateway/session/settings_stack.h"
#include "services/multigateway/session/transaction.h"

namespace multigres::gateway::scatterconn {
class RequestCache;
}

namespace multigres::gateway::session {

// Who the client is, once authenticated. The keys are secrets: zeroised when the session ends, never logged.
struct Identity {
  std::string user;
  std::string database;
  std::string client_key;  // from the client's SCRAM proof, 32 bytes; empty without
  std::string server_key;
  std::uint32_t client_connection_id = 0;  // the PID that the client was told
  bool target_replica = false;             // came in on the replica port

  Identity() = default;
  Identity(const Identity&) = default;
  Identity(Identity&&) = default;
  Identity& operator=(const Identity&) = delete;
  Identity& operator=(Identity&&) = default;
  ~Identity();
};

class Session {
 public:
  // `startup`: the startup packet's GUCs, with statement_timeout and idle_session_timeout taken out into `variables`
  // (as their defaults). `reported`: the ParameterStatus values that the client was sent at login.
  Session(Identity identity, SettingsPtr startup, GatewayVariables variables, ReportedParameters reported);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  const Identity& identity() const { return identity_; }
  bool TargetReplica() const { return identity_.target_replica; }

  SettingsStack& settings() { return settings_; }
  const SettingsStack& settings() const { return settings_; }
  Transaction& transaction() { return transaction_; }
  const Transaction& transaction() const { return transaction_; }
  Reservation& reservation() { return reservation_; }
  const Reservation& reservation() const { return reservation_; }
  PreparedStatements& statements() { return statements_; }
  Portals& portals() { return portals_; }
  ReportedParameters& reported() { return reported_; }
  const ReportedParameters& reported() const { return reported_; }

  // In a transaction block (also with BEGIN unsent) or holding a backend: statements must run where the session is.
  bool pinned() const { return !transaction_.idle() || reservation_.held(); }
  bool standard_conforming_strings() const;

  // Portal names whose pins the pooler still has to be told to drop, with the next call on the reserved backend.
  std::vector<std::string>& portals_to_release() { return portals_to_release_; }

  // The status byte for ReadyForQuery.
  char status_byte() const { return static_cast<char>(transaction_.status()); }
  // 0 = off. For statements, and for waiting between message cycles outside a transaction.
  std::int32_t statement_timeout_ms() const { return settings_.variables().Get(GatewayVariable::kStatementTimeout); }
  std::int32_t idle_session_timeout_ms() const {
    return settings_.variables().Get(GatewayVariable::kIdleSessionTimeout);
  }

  // Asked while a statement waits for a leader: is there still anybody to answer to? Set by whoever serves the client.
  void set_client_gone(std::function<bool()> client_gone) { client_gone_ = std::move(client_gone); }
  bool ClientGone() const { return client_gone_ && client_gone_(); }

  // Prebuilt requests; ScatterConn's alone.
  std::shared_ptr<scatterconn::RequestCache>& request_cache() { return request_cache_; }

  // A transaction opens (its BEGIN still unsent) or has ended, for all the state that goes with it.
  void BeginTransaction(std::string begin_text, bool implicit);
  void CommitTransaction();
  void RollbackTransaction();

 private:
  void EndTransaction();

  const Identity identity_;
  SettingsStack settings_;
  Transaction transaction_;
  Reservation reservation_;
  PreparedStatements statements_;
  Portals portals_;
  ReportedParameters reported_;
  std::vector<std::string> portals_to_release_;
  std::shared_ptr<scatterconn::RequestCache> request_cache_;
  std::function<bool()> client_gone_;
};

}  // namespace multigres::gateway::session
