#include "certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "tools/result/check.h"

namespace multigres::interop {
namespace {

constexpr long kHourSeconds = 3600;

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

Certificate::Certificate(const std::string& folder, const std::string& common_name, const Certificate* issuer)
    : key_(EVP_EC_gen("P-256")),
      certificate_(X509_new()),
      cert_file_(folder + "/" + common_name + ".crt"),
      key_file_(folder + "/" + common_name + ".key") {
  static long serial = 1;
  X509_set_version(certificate_, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate_), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate_), -kHourSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate_), kHourSeconds);
  X509_set_pubkey(certificate_, key_);
  X509_NAME* subject = X509_get_subject_name(certificate_);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()),
                             -1, -1, 0);
  X509_set_issuer_name(certificate_, issuer != nullptr ? X509_get_subject_name(issuer->certificate_) : subject);
  if (issuer == nullptr) {
    AddExtension(NID_basic_constraints, "critical,CA:TRUE");
  } else {
    AddExtension(NID_subject_alt_name, "IP:127.0.0.1");
  }
  X509_sign(certificate_, issuer != nullptr ? issuer->key_ : key_, EVP_sha256());

  FILE* file = std::fopen(cert_file_.c_str(), "w");
  CHECK(file != nullptr && PEM_write_X509(file, certificate_) == 1 && std::fclose(file) == 0);
  file = std::fopen(key_file_.c_str(), "w");
  CHECK(file != nullptr && PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
        std::fclose(file) == 0);
}

Certificate::~Certificate() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

std::string Certificate::CertPem() const {
  return ReadFile(cert_file_);
}
std::string Certificate::KeyPem() const {
  return ReadFile(key_file_);
}

void Certificate::AddExtension(int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  CHECK(extension != nullptr);
  X509_add_ext(certificate_, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace multigres::interop
