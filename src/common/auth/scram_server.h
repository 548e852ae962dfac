// The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677; PostgreSQL's auth-scram.c). No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/auth/scram_verifier.h"
#include "tools/result/error.h"

namespace multigres::auth {

inline constexpr std::string_view kScramSha256 = "SCRAM-SHA-256";
inline constexpr std::string_view kScramSha256Plus = "SCRAM-SHA-256-PLUS";

struct ScramServerOptions {
  std::string user;  // for the error text only; the name inside SCRAM is ignored
  ScramVerifier verifier;
  // A mock exchange: the verifier is MakeMockVerifier()'s and no proof is ever good.
  bool doomed = false;
  // Is the connection encrypted, and its tls-server-end-point data (TlsServerEndPoint() of the certificate served)?
  // -PLUS is offered if there is some.
  bool encrypted = false;
  std::string channel_binding_data;
  // Replaces the random server nonce: for test vectors.
  std::string nonce;
};

// One exchange: Mechanisms() into AuthenticationSASL, Begin() with the SASLInitialResponse gives
// AuthenticationSASLContinue, Finish() with the SASLResponse gives AuthenticationSASLFinal. Errors are FATAL for the
// client: 08P01 `malformed SCRAM message` (detail in the diagnostic), 28000 `SCRAM channel binding negotiation error` /
// `SCRAM channel binding check failed`, 0A000 `client uses authorization identity, but it is not supported`, 28P01
// `password authentication failed for user "u"`.
class ScramServer {
 public:
  explicit ScramServer(ScramServerOptions options);
  ~ScramServer();

  std::vector<std::string_view> Mechanisms() const;
  // An absent initial response is answered with an empty challenge; Continue() takes the response to that.
  Result<std::string> Begin(std::string_view mechanism, std::optional<std::string_view> initial_response);
  Result<std::string> Continue(std::string_view client_first);
  bool awaits_first() const { return state_ == State::kFirst; }
  Result<std::string> Finish(std::string_view client_final);

  // After a successful Finish(): the client's key, recovered from its proof, and the verifier's server key.
  const ScramKeys& keys() const { return keys_; }

 private:
  enum class State { kMechanism, kFirst, kFinal, kDone, kFailed };

  Result<> HandleGs2Header(std::string_view& rest);
  Result<> HandleFirst(std::string_view message);
  Result<> CheckChannelBinding(std::string_view encoded) const;
  Result<> HandleFinal(std::string_view message);
  bool ProofIsGood(std::string_view proof);
  std::unexpected<Error> Failed(Error error);

  ScramServerOptions options_;
  State state_ = State::kMechanism;
  bool plus_ = false;
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
  std::string nonce_;  // the client's and ours
  std::string auth_message_;
  ScramKeys keys_;
};

// 28P01 `password authentication failed for user "u"`, as a FATAL diagnostic.
Error PasswordAuthenticationFailed(std::string_view user);

}  // namespace multigres::auth
