// What a session has set, with the frames that ROLLBACK and ROLLBACK TO return to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/multigateway/session/gateway_variables.h"
#include "services/multigateway/session/settings.h"

namespace multigres::gateway::session {

// Everything that a rollback takes back.
struct SettingsFrame {
  SettingsPtr settings;
  GatewayVariables variables;
  std::vector<std::string> hold_cursors;  // open WITH HOLD cursors
};

class SettingsStack {
 public:
  SettingsStack(SettingsPtr startup, GatewayVariables variables);

  const SettingsPtr& settings() const { return now_.settings; }
  const GatewayVariables& variables() const { return now_.variables; }
  const std::vector<std::string>& hold_cursors() const { return now_.hold_cursors; }
  // Those opened since the transaction began, which a rollback closes.
  std::vector<std::string> CursorsOfTransaction() const;
  // The settings that came with the startup packet: what RESET goes back to.
  const SettingsPtr& startup() const { return startup_; }
  // What a rollback of the open transaction restores; the current settings outside of one.
  const SettingsPtr& rollback_settings() const;

  // Names must be folded.
  void Set(std::string name, std::string value);
  void Reset(std::string_view name);
  // All but role and session_authorization, as PostgreSQL's RESET ALL; the gateway's variables too.
  void ResetAll();
  // For DISCARD ALL: those two as well, and cursors.
  void DiscardAll();

  GatewayVariables& mutable_variables() { return now_.variables; }
  void AddHoldCursor(std::string name);
  // False if there is none of that name.
  bool RemoveHoldCursor(std::string_view name);
  void RemoveAllHoldCursors() { now_.hold_cursors.clear(); }

  // A transaction begins; BEGIN inside one changes nothing.
  void Begin();
  void Commit();
  void Rollback();
  // After the statement succeeded on the backend; names as PostgreSQL folds identifiers.
  void Savepoint(std::string name);
  void Release(std::string_view name);
  void RollbackTo(std::string_view name);

 private:
  struct Frame {
    std::string savepoint;  // unused in the first, BEGIN's
    SettingsFrame saved;
  };
  // The newest frame of that name, or frames_.size().
  std::size_t FindSavepoint(std::string_view name) const;

  SettingsPtr startup_;
  SettingsFrame now_;
  std::vector<Frame> frames_;
};

}  // namespace multigres::gateway::session
