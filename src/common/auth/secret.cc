#include "common/auth/secret.h"

#include <openssl/crypto.h>

#include <cstring>

namespace multigres::auth {

SecretKey::~SecretKey() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

bool SecretKey::Assign(std::string_view bytes) {
  if (bytes.size() != kSize) return false;
  std::memcpy(bytes_.data(), bytes.data(), kSize);
  return true;
}

bool SecretKey::operator==(const SecretKey& other) const {
  return CRYPTO_memcmp(bytes_.data(), other.bytes_.data(), kSize) == 0;
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void Wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace multigres::auth
