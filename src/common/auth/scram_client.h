// The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, by password or by keys kept from an earlier proof. No I/O.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/auth/scram_verifier.h"
#include "tools/result/error.h"

namespace multigres::auth {

struct ScramClientOptions {
  // A password, or the keys that belong to the server's verifier (its salt and iteration count don't matter then).
  std::variant<std::string, ScramKeys> secret;
  // tls-server-end-point data of the server's certificate; empty without TLS. -PLUS is chosen if the server offers it.
  std::string channel_binding_data;
  bool encrypted = false;
  // Replaces the random client nonce: for test vectors.
  std::string nonce;
  // Goes into the message; PostgreSQL ignores it and libpq leaves it empty.
  std::string user;
};

// One exchange: ChooseMechanism(), then ClientFirst() into SASLInitialResponse, ClientFinal() into SASLResponse, and
// VerifyServerFinal(). Errors are UNAUTHENTICATED with SQLSTATE 28000 (nothing usable offered, wrong server signature)
// or 08P01 (malformed messages).
class ScramClient {
 public:
  explicit ScramClient(ScramClientOptions options);
  ~ScramClient();

  Result<std::string_view> ChooseMechanism(std::span<const std::string_view> offered);
  std::string ClientFirst();
  Result<std::string> ClientFinal(std::string_view server_first);
  // Proves that the server knows the verifier. Without it an exchange isn't complete.
  Result<> VerifyServerFinal(std::string_view server_final);

 private:
  ScramClientOptions options_;
  bool plus_ = false;
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string nonce_;
  std::string auth_message_;
  ScramKeys keys_;
};

}  // namespace multigres::auth
