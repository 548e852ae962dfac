// What a server keeps of a SCRAM-SHA-256 password (pg_authid.rolpassword), and the keys of RFC 5802 behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/auth/secret.h"

namespace multigres::auth {

inline constexpr std::uint32_t kDefaultScramIterations = 4096;
inline constexpr std::size_t kDefaultScramSaltSize = 16;

// What a client needs to authenticate without the password. A server learns the client key from a valid proof.
struct ScramKeys {
  SecretKey client_key;
  SecretKey server_key;

  bool operator==(const ScramKeys& other) const = default;
};

struct ScramVerifier {
  std::uint32_t iterations = kDefaultScramIterations;
  std::string salt;  // raw bytes
  SecretKey stored_key;
  SecretKey server_key;

  // "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"; nothing if it isn't that (MD5, plain text, none).
  static std::optional<ScramVerifier> Parse(std::string_view rolpassword);
  std::string ToString() const;
  // At least 4096 iterations and 8 bytes of salt (RFC 7677, section 4).
  bool MeetsMinimum() const { return iterations >= kDefaultScramIterations && salt.size() >= 8; }
};

// The password goes through SASLprep first, as PostgreSQL does it (sasl_prep.h).
ScramKeys DeriveScramKeys(std::string_view password, std::string_view salt, std::uint32_t iterations);
ScramVerifier MakeScramVerifier(std::string_view password, std::string_view salt,
                                std::uint32_t iterations = kDefaultScramIterations);
// With a random salt: what CREATE ROLE ... PASSWORD stores.
ScramVerifier MakeScramVerifier(std::string_view password);

// For a role that doesn't exist or has no SCRAM password: an exchange with it looks real and cannot succeed. The salt
// is the same for the same name and `secret`.
ScramVerifier MakeMockVerifier(std::string_view user, std::string_view secret);

SecretKey HmacSha256(std::string_view key, std::string_view message);
SecretKey Sha256(std::string_view message);
// Cryptographically random bytes.
std::string RandomBytes(std::size_t count);

}  // namespace multigres::auth
