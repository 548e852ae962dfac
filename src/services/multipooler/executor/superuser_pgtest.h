// The superuser of a test's server, as a gateway would present it: for tests.
#pragma once

#include "common/auth/scram_verifier.h"
#include "query.pb.h"
#include "test/support/postgres.h"
#include "tools/result/check.h"

namespace multigres::pooler::executor::testing {

// What a gateway would have from the superuser's SCRAM proof.
inline auth::ScramKeys KeysOfSuperuser() {
  auto& server = test::PostgresServer::Shared();
  const auto stored = server.Psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'");
  const auto verifier = auth::ScramVerifier::Parse(stored.value_or(""));
  CHECK(verifier.has_value());
  return auth::DeriveScramKeys(server.password(), verifier->salt, verifier->iterations);
}

inline void FillSuperuser(::query::ExecuteOptions& options) {
  static const auth::ScramKeys keys = KeysOfSuperuser();
  options.mutable_user_auth()->set_client_key(std::string(keys.client_key.view()));
  options.mutable_user_auth()->set_server_key(std::string(keys.server_key.view()));
  options.set_user("postgres");
}

}  // namespace multigres::pooler::executor::testing
