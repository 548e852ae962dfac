#include "services/multigateway/session/session.h"

#include <openssl/crypto.h>

namespace multigres::gateway::session {

Identity::~Identity() {
  OPENSSL_cleanse(client_key.data(), client_key.size());
  OPENSSL_cleanse(server_key.data(), server_key.size());
}

Session::Session(Identity identity, SettingsPtr startup, GatewayVariables variables, ReportedParameters reported)
    : identity_(std::move(identity)), settings_(std::move(startup), variables), reported_(std::move(reported)) {}

Session::~Session() = default;

bool Session::standard_conforming_strings() const {
  const std::string* value = reported_.Get("standard_conforming_strings");
  return value == nullptr || *value != "off";
}

void Session::BeginTransaction(std::string begin_text, bool implicit) {
  if (implicit) {
    transaction_.OpenImplicit();
  } else {
    transaction_.OpenExplicit(std::move(begin_text));
  }
  settings_.Begin();
  reported_.Begin();
}

void Session::CommitTransaction() {
  settings_.Commit();
  reported_.Commit();
  EndTransaction();
}

void Session::RollbackTransaction() {
  if (reservation_.Has(reason::kPortal)) {
    for (std::string& name : settings_.CursorsOfTransaction()) portals_to_release_.push_back(std::move(name));
  }
  settings_.Rollback();
  reported_.Rollback();
  EndTransaction();
}

void Session::EndTransaction() {
  transaction_.Close();
  for (std::string& name : portals_.Suspended()) portals_to_release_.push_back(std::move(name));
  portals_.Clear();
}

}  // namespace multigres::gateway::session
