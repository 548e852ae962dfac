// Throw-away X.509 certificates for tests, as PEM files.
#pragma once

#include <openssl/types.h>

#include <string>

namespace multigres::interop {

// An authority of its own, or (with an issuer) a certificate for 127.0.0.1. The files stay in the folder.
class Certificate {
 public:
  Certificate(const std::string& folder, const std::string& common_name, const Certificate* issuer = nullptr);
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate();

  const std::string& cert_file() const { return cert_file_; }
  const std::string& key_file() const { return key_file_; }
  std::string CertPem() const;
  std::string KeyPem() const;

 private:
  void AddExtension(int nid, const char* value);

  EVP_PKEY* key_;
  X509* certificate_;
  std::string cert_file_;
  std::string key_file_;
};

}  // namespace multigres::interop
