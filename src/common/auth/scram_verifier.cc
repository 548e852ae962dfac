#include "common/auth/scram_verifier.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <charconv>

#include "common/auth/base64.h"
#include "common/auth/sasl_prep.h"
#include "tools/result/check.h"

namespace multigres::auth {

namespace {

constexpr std::string_view kPrefix = "SCRAM-SHA-256$";

const unsigned char* Unsigned(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// Cuts off and gives what stands before `separator`; nothing if there is none.
std::optional<std::string_view> TakeUntil(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

bool DecodeKey(std::string_view text, SecretKey& key) {
  auto bytes = Base64Decode(text);
  const bool good = bytes && key.Assign(*bytes);
  if (bytes) Wipe(*bytes);
  return good;
}

}  // namespace

SecretKey HmacSha256(std::string_view key, std::string_view message) {
  SecretKey result;
  unsigned int length = SecretKey::kSize;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Unsigned(message), message.size(), result.data(),
             &length) != nullptr);
  return result;
}

SecretKey Sha256(std::string_view message) {
  SecretKey result;
  SHA256(Unsigned(message), message.size(), result.data());
  return result;
}

std::string RandomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) == 1,
        "no randomness to be had");
  return bytes;
}

std::optional<ScramVerifier> ScramVerifier::Parse(std::string_view rolpassword) {
  if (!rolpassword.starts_with(kPrefix)) return std::nullopt;
  std::string_view rest = rolpassword.substr(kPrefix.size());
  const auto iterations = TakeUntil(rest, ':');
  if (!iterations) return std::nullopt;
  const auto salt = TakeUntil(rest, '$');
  if (!salt) return std::nullopt;
  const auto stored_key = TakeUntil(rest, ':');
  if (!stored_key) return std::nullopt;

  ScramVerifier verifier;
  const auto* end = iterations->data() + iterations->size();
  const auto parsed = std::from_chars(iterations->data(), end, verifier.iterations);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  if (verifier.iterations == 0 || verifier.iterations > 0x7fffffff) return std::nullopt;
  auto salt_bytes = Base64Decode(*salt);
  if (!salt_bytes || salt_bytes->empty()) return std::nullopt;
  verifier.salt = std::move(*salt_bytes);
  if (!DecodeKey(*stored_key, verifier.stored_key) || !DecodeKey(rest, verifier.server_key)) return std::nullopt;
  return verifier;
}

std::string ScramVerifier::ToString() const {
  return std::string(kPrefix) + std::to_string(iterations) + ":" + Base64Encode(salt) + "$" +
         Base64Encode(stored_key.view()) + ":" + Base64Encode(server_key.view());
}

ScramKeys DeriveScramKeys(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  std::string prepared = SaslPrep(password);
  SecretKey salted;
  CHECK(PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), Unsigned(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(), SecretKey::kSize,
                          salted.data()) == 1);
  Wipe(prepared);
  return {HmacSha256(salted.view(), "Client Key"), HmacSha256(salted.view(), "Server Key")};
}

ScramVerifier MakeScramVerifier(std::string_view password, std::string_view salt, std::uint32_t iterations) {
  const ScramKeys keys = DeriveScramKeys(password, salt, iterations);
  ScramVerifier verifier;
  verifier.iterations = iterations;
  verifier.salt = salt;
  verifier.stored_key = Sha256(keys.client_key.view());
  verifier.server_key = keys.server_key;
  return verifier;
}

ScramVerifier MakeScramVerifier(std::string_view password) {
  return MakeScramVerifier(password, RandomBytes(kDefaultScramSaltSize));
}

ScramVerifier MakeMockVerifier(std::string_view user, std::string_view secret) {
  const SecretKey salt = HmacSha256(secret, std::string("salt:").append(user));
  ScramVerifier verifier;
  verifier.salt = salt.view().substr(0, kDefaultScramSaltSize);
  verifier.stored_key = HmacSha256(secret, std::string("stored:").append(user));
  verifier.server_key = HmacSha256(secret, std::string("server:").append(user));
  return verifier;
}

}  // namespace multigres::auth
