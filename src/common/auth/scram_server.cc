#include "common/auth/scram_server.h"

#include "common/auth/base64.h"
#include "common/auth/scram_message.h"

namespace multigres::auth {

namespace {

constexpr std::string_view kEndPointType = "tls-server-end-point";
constexpr std::size_t kNonceBytes = 18;

}  // namespace

Error PasswordAuthenticationFailed(std::string_view user) {
  return FatalError("28P01", "password authentication failed for user \"" + std::string(user) + "\"");
}

ScramServer::ScramServer(ScramServerOptions options) : options_(std::move(options)) {}

ScramServer::~ScramServer() = default;

std::vector<std::string_view> ScramServer::Mechanisms() const {
  if (options_.encrypted && !options_.channel_binding_data.empty()) return {kScramSha256Plus, kScramSha256};
  return {kScramSha256};
}

std::unexpected<Error> ScramServer::Failed(Error error) {
  state_ = State::kFailed;
  return std::unexpected(std::move(error));
}

Result<std::string> ScramServer::Begin(std::string_view mechanism, std::optional<std::string_view> initial_response) {
  if (state_ != State::kMechanism) return Failed(MalformedScramMessage("The exchange has begun already."));
  const auto offered = Mechanisms();
  bool known = false;
  for (const auto candidate : offered) known = known || candidate == mechanism;
  if (!known) {
    return Failed(FatalError("08P01", "client selected an invalid SASL authentication mechanism"));
  }
  plus_ = mechanism == kScramSha256Plus;
  state_ = State::kFirst;
  if (!initial_response) return std::string();
  return Continue(*initial_response);
}

Result<std::string> ScramServer::Continue(std::string_view client_first) {
  if (state_ != State::kFirst) return Failed(MalformedScramMessage("No client-first-message is due."));
  auto handled = HandleFirst(client_first);
  if (!handled) return Failed(std::move(handled.error()));
  state_ = State::kFinal;
  return server_first_;
}

Result<> ScramServer::HandleGs2Header(std::string_view& rest) {
  const char flag = rest.empty() ? '\0' : rest[0];
  if (flag == 'n' || flag == 'y') {
    if (plus_) {
      return std::unexpected(MalformedScramMessage(
          "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data."));
    }
    if (flag == 'y' && Mechanisms().size() > 1) {
      return std::unexpected(
          FatalError("28000", "SCRAM channel binding negotiation error",
                     "The client supports SCRAM channel binding but thinks the server does not.  However, this server "
                     "does support channel binding."));
    }
    rest.remove_prefix(1);
    if (!rest.starts_with(',')) return std::unexpected(MalformedScramMessage("Comma expected."));
    rest.remove_prefix(1);
  } else if (flag == 'p') {
    if (!plus_) {
      return std::unexpected(
          MalformedScramMessage("The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
                                "includes channel binding data."));
    }
    auto type = TakeAttribute(rest, 'p');
    if (!type) return std::unexpected(std::move(type.error()));
    if (*type != kEndPointType) {
      return std::unexpected(
          FatalError("08P01", "unsupported SCRAM channel-binding type \"" + std::string(*type) + "\""));
    }
  } else {
    return std::unexpected(MalformedScramMessage("Unexpected channel-binding flag."));
  }
  if (rest.starts_with('a')) {
    return std::unexpected(FatalError("0A000", "client uses authorization identity, but it is not supported"));
  }
  if (!rest.starts_with(',')) {
    return std::unexpected(MalformedScramMessage("Unexpected attribute in client-first-message."));
  }
  rest.remove_prefix(1);
  return {};
}

Result<> ScramServer::HandleFirst(std::string_view message) {
  if (message.empty()) return std::unexpected(MalformedScramMessage("The message is empty."));
  if (message.find('\0') != std::string_view::npos) {
    return std::unexpected(MalformedScramMessage("Message length does not match input length."));
  }
  std::string_view rest = message;
  auto header = HandleGs2Header(rest);
  if (!header) return header;
  gs2_header_ = message.substr(0, message.size() - rest.size());
  client_first_bare_ = rest;
  if (rest.starts_with('m')) {
    return std::unexpected(FatalError("0A000", "client requires an unsupported SCRAM extension"));
  }
  auto name = TakeAttribute(rest, 'n');  // the startup packet's counts
  if (!name) return std::unexpected(std::move(name.error()));
  auto nonce = TakeAttribute(rest, 'r');
  if (!nonce) return std::unexpected(std::move(nonce.error()));
  if (!IsScramPrintable(*nonce)) {
    return std::unexpected(FatalError("08P01", "non-printable characters in SCRAM nonce"));
  }
  while (!rest.empty()) {
    auto extension = TakeAnyAttribute(rest);
    if (!extension) return std::unexpected(std::move(extension.error()));
    if (extension->name == 'n' || extension->name == 'r') {
      return std::unexpected(MalformedScramMessage("Duplicate attribute in client-first-message."));
    }
  }
  const std::string own = options_.nonce.empty() ? Base64Encode(RandomBytes(kNonceBytes)) : options_.nonce;
  nonce_ = std::string(*nonce) + own;
  server_first_ = "r=" + nonce_ + ",s=" + Base64Encode(options_.verifier.salt) +
                  ",i=" + std::to_string(options_.verifier.iterations);
  return {};
}

Result<> ScramServer::CheckChannelBinding(std::string_view encoded) const {
  std::string expected = gs2_header_;
  if (plus_) expected += options_.channel_binding_data;
  if (encoded == Base64Encode(expected)) return {};
  if (plus_) return std::unexpected(FatalError("28000", "SCRAM channel binding check failed"));
  return std::unexpected(FatalError("08P01", "unexpected SCRAM channel-binding attribute in client-final-message"));
}

Result<std::string> ScramServer::Finish(std::string_view client_final) {
  if (state_ != State::kFinal) return Failed(MalformedScramMessage("No client-final-message is due."));
  auto handled = HandleFinal(client_final);
  if (!handled) return Failed(std::move(handled.error()));
  state_ = State::kDone;
  const SecretKey signature = HmacSha256(options_.verifier.server_key.view(), auth_message_);
  return "v=" + Base64Encode(signature.view());
}

Result<> ScramServer::HandleFinal(std::string_view message) {
  if (message.empty()) return std::unexpected(MalformedScramMessage("The message is empty."));
  if (message.find('\0') != std::string_view::npos) {
    return std::unexpected(MalformedScramMessage("Message length does not match input length."));
  }
  std::string_view rest = message;
  auto binding = TakeAttribute(rest, 'c');
  if (!binding) return std::unexpected(std::move(binding.error()));
  auto bound = CheckChannelBinding(*binding);
  if (!bound) return bound;
  auto nonce = TakeAttribute(rest, 'r');
  if (!nonce) return std::unexpected(std::move(nonce.error()));
  std::string_view without_proof;
  std::string_view proof;
  while (true) {
    // The comma before this attribute belongs to neither part.
    without_proof = message.substr(0, message.size() - rest.size() - 1);
    auto attribute = TakeAnyAttribute(rest);
    if (!attribute) return std::unexpected(std::move(attribute.error()));
    if (attribute->name == 'c' || attribute->name == 'r') {
      return std::unexpected(MalformedScramMessage("Duplicate attribute in client-final-message."));
    }
    proof = attribute->value;
    if (attribute->name == 'p') break;
  }
  if (!rest.empty() || message.ends_with(',')) {
    return std::unexpected(MalformedScramMessage("Garbage found at the end of client-final-message."));
  }
  auto proof_bytes = Base64Decode(proof);
  if (!proof_bytes || proof_bytes->size() != SecretKey::kSize) {
    return std::unexpected(MalformedScramMessage("Malformed proof in client-final-message."));
  }
  if (*nonce != nonce_) {
    return std::unexpected(FatalError("08P01", "invalid SCRAM response", "Nonce does not match."));
  }
  auth_message_ = client_first_bare_ + "," + server_first_ + "," + std::string(without_proof);
  // A doomed exchange does the same work.
  const bool good = ProofIsGood(*proof_bytes);
  if (!good || options_.doomed) {
    keys_ = ScramKeys();
    return std::unexpected(PasswordAuthenticationFailed(options_.user));
  }
  return {};
}

bool ScramServer::ProofIsGood(std::string_view proof) {
  const SecretKey signature = HmacSha256(options_.verifier.stored_key.view(), auth_message_);
  for (std::size_t i = 0; i < SecretKey::kSize; ++i) {
    keys_.client_key.data()[i] = static_cast<std::uint8_t>(proof[i]) ^ signature.data()[i];
  }
  keys_.server_key = options_.verifier.server_key;
  return Sha256(keys_.client_key.view()) == options_.verifier.stored_key;
}

}  // namespace multigres::auth
