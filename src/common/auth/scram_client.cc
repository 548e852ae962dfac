#include "common/auth/scram_client.h"

#include <algorithm>
#include <charconv>

#include "common/auth/base64.h"
#include "common/auth/scram_message.h"
#include "common/auth/scram_server.h"

namespace multigres::auth {

namespace {

constexpr std::size_t kNonceBytes = 18;
// An honest server asks for thousands; each costs us time.
constexpr std::uint32_t kMaxIterations = 10'000'000;

std::unexpected<Error> Refused(std::string sqlstate, std::string message) {
  return std::unexpected(
      Error(Code::kUnauthenticated, std::move(sqlstate), std::move(message)).WithExecution(Execution::kDidNotExecute));
}

std::unexpected<Error> MalformedReply() {
  return Refused("08P01", "malformed SCRAM message from the server");
}

}  // namespace

ScramClient::ScramClient(ScramClientOptions options) : options_(std::move(options)) {}

ScramClient::~ScramClient() {
  if (auto* password = std::get_if<std::string>(&options_.secret)) Wipe(*password);
}

Result<std::string_view> ScramClient::ChooseMechanism(std::span<const std::string_view> offered) {
  const bool has_plus = std::ranges::find(offered, kScramSha256Plus) != offered.end();
  const bool has_plain = std::ranges::find(offered, kScramSha256) != offered.end();
  const bool can_bind = options_.encrypted && !options_.channel_binding_data.empty();
  if (has_plus && can_bind) {
    plus_ = true;
    gs2_header_ = "p=tls-server-end-point,,";
    return kScramSha256Plus;
  }
  if (!has_plain) return Refused("28000", "none of the server's SASL authentication mechanisms are supported");
  gs2_header_ = can_bind ? "y,," : "n,,";
  return kScramSha256;
}

std::string ScramClient::ClientFirst() {
  nonce_ = options_.nonce.empty() ? Base64Encode(RandomBytes(kNonceBytes)) : options_.nonce;
  client_first_bare_ = "n=" + options_.user + ",r=" + nonce_;
  return gs2_header_ + client_first_bare_;
}

Result<std::string> ScramClient::ClientFinal(std::string_view server_first) {
  std::string_view rest = server_first;
  auto nonce = TakeAttribute(rest, 'r');
  if (!nonce) return MalformedReply();
  auto salt_text = TakeAttribute(rest, 's');
  if (!salt_text) return MalformedReply();
  auto iterations_text = TakeAttribute(rest, 'i');
  if (!iterations_text) return MalformedReply();
  if (!nonce->starts_with(nonce_) || nonce->size() <= nonce_.size()) {
    return Refused("08P01", "invalid SCRAM response (nonce mismatch)");
  }
  const auto salt = Base64Decode(*salt_text);
  std::uint32_t iterations = 0;
  const char* end = iterations_text->data() + iterations_text->size();
  const auto parsed = std::from_chars(iterations_text->data(), end, iterations);
  if (!salt || parsed.ec != std::errc() || parsed.ptr != end || iterations == 0 || iterations > kMaxIterations) {
    return MalformedReply();
  }

  if (const auto* password = std::get_if<std::string>(&options_.secret)) {
    keys_ = DeriveScramKeys(*password, *salt, iterations);
  } else {
    keys_ = std::get<ScramKeys>(options_.secret);
  }
  std::string binding = gs2_header_;
  if (plus_) binding += options_.channel_binding_data;
  const std::string without_proof = "c=" + Base64Encode(binding) + ",r=" + std::string(*nonce);
  auth_message_ = client_first_bare_ + "," + std::string(server_first) + "," + without_proof;
  const SecretKey stored_key = Sha256(keys_.client_key.view());
  const SecretKey signature = HmacSha256(stored_key.view(), auth_message_);
  SecretKey proof;
  for (std::size_t i = 0; i < SecretKey::kSize; ++i) {
    proof.data()[i] = keys_.client_key.data()[i] ^ signature.data()[i];
  }
  return without_proof + ",p=" + Base64Encode(proof.view());
}

Result<> ScramClient::VerifyServerFinal(std::string_view server_final) {
  std::string_view rest = server_final;
  if (rest.starts_with('e')) {
    auto reason = TakeAttribute(rest, 'e');
    return Refused("28000", "the server ended the SCRAM exchange: " + std::string(reason ? *reason : ""));
  }
  auto signature_text = TakeAttribute(rest, 'v');
  if (!signature_text) return MalformedReply();
  const auto signature = Base64Decode(*signature_text);
  const SecretKey expected = HmacSha256(keys_.server_key.view(), auth_message_);
  if (auth_message_.empty() || !signature || !ConstantTimeEqual(*signature, expected.view())) {
    return Refused("28000", "incorrect server signature: the server doesn't know the password");
  }
  return {};
}

}  // namespace multigres::auth
