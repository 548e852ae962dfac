#include "tools/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include "tools/result/check.h"

namespace multigres {

namespace {

// A key with a passphrase is refused instead of asking on the terminal.
int NoPassphrase(char*, int, int, void*) {
  return 0;
}

std::string ToDer(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int length = i2d_X509(certificate, &bytes);
  if (length <= 0) return {};
  std::string der(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(length));
  OPENSSL_free(bytes);
  return der;
}

std::string EndPointHash(X509* certificate) {
  int digest = NID_undef;
  if (X509_get_signature_info(certificate, &digest, nullptr, nullptr, nullptr) != 1) return {};
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  // Signatures without a hash of their own (Ed25519) have no binding by the RFC.
  const EVP_MD* md = EVP_get_digestbynid(digest);
  if (md == nullptr) return {};
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (X509_digest(certificate, md, hash, &length) != 1) return {};
  return std::string(reinterpret_cast<char*>(hash), length);
}

std::span<const unsigned char> Bytes(const std::string& text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in, unsigned in_length,
               void* argument) {
  const auto* context = static_cast<const OpensslContext*>(argument);
  const auto own = Bytes(context->alpn_wire());
  unsigned char* selected = nullptr;
  const int rc =
      SSL_select_next_proto(&selected, out_length, own.data(), static_cast<unsigned>(own.size()), in, in_length);
  if (rc != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

int RequireAlpn(SSL* ssl, int* alert, void*) {
  const unsigned char* extension = nullptr;
  std::size_t length = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension, &length) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

Result<std::shared_ptr<OpensslContext>> NewContext(bool server) {
  SSL_CTX* ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
  CHECK(ctx != nullptr);
  auto context = std::make_shared<OpensslContext>(ctx, server);
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_options(
      ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 0);
  SSL_CTX_set_default_passwd_cb(ctx, NoPassphrase);
  return context;
}

}  // namespace

std::string CertificateEndPoint(std::string_view der) {
  const auto* data = reinterpret_cast<const unsigned char*>(der.data());
  X509* certificate = d2i_X509(nullptr, &data, static_cast<long>(der.size()));
  if (certificate == nullptr) {
    ERR_clear_error();
    return {};
  }
  std::string hash = EndPointHash(certificate);
  X509_free(certificate);
  return hash;
}

std::string TakeOpensslError() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (text.empty()) text = reason != nullptr ? reason : "error " + std::to_string(code);
  }
  return text.empty() ? "unknown error" : text;
}

Result<> OpensslContext::Load(const TlsFiles& files) {
  ERR_clear_error();
  if (files.cert.empty() != files.key.empty()) {
    return Fail(Code::kInvalidArgument, "a TLS certificate and its key must be given together");
  }
  if (!files.cert.empty()) {
    if (SSL_CTX_use_certificate_chain_file(ctx_, files.cert.c_str()) != 1) {
      return Fail(Code::kInvalidArgument, "TLS certificate '" + files.cert + "': " + TakeOpensslError());
    }
    if (SSL_CTX_use_PrivateKey_file(ctx_, files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx_) != 1) {
      return Fail(Code::kInvalidArgument, "TLS key '" + files.key + "': " + TakeOpensslError());
    }
    X509* leaf = SSL_CTX_get0_certificate(ctx_);
    certificate_ = ToDer(leaf);
    server_end_point_ = EndPointHash(leaf);
  }
  if (!files.ca.empty()) {
    if (SSL_CTX_load_verify_locations(ctx_, files.ca.c_str(), nullptr) != 1) {
      return Fail(Code::kInvalidArgument, "TLS certificate authority '" + files.ca + "': " + TakeOpensslError());
    }
    if (server_) SSL_CTX_set_client_CA_list(ctx_, SSL_load_client_CA_file(files.ca.c_str()));
  } else if (!server_) {
    SSL_CTX_set_default_verify_paths(ctx_);
  }
  ERR_clear_error();
  return {};
}

Result<> OpensslContext::SetAlpn(const std::vector<std::string>& protocols, bool required) {
  for (const std::string& name : protocols) {
    if (name.empty() || name.size() > 255) return Fail(Code::kInvalidArgument, "bad ALPN name '" + name + "'");
    alpn_wire_.push_back(static_cast<char>(name.size()));
    alpn_wire_.append(name);
  }
  require_alpn_ = required && !protocols.empty();
  if (protocols.empty()) return {};
  if (server_) {
    SSL_CTX_set_alpn_select_cb(ctx_, SelectAlpn, this);
    if (required) SSL_CTX_set_client_hello_cb(ctx_, RequireAlpn, nullptr);
  } else {
    const auto wire = Bytes(alpn_wire_);
    SSL_CTX_set_alpn_protos(ctx_, wire.data(), static_cast<unsigned>(wire.size()));
  }
  return {};
}

void OpensslContext::SetVerify(int mode) {
  verify_ = mode != SSL_VERIFY_NONE;
  SSL_CTX_set_verify(ctx_, mode, nullptr);
}

Result<std::shared_ptr<TlsContext>> TlsContext::Server(TlsServerOptions options) {
  if (options.files.cert.empty()) {
    return Fail(Code::kInvalidArgument, "a TLS server needs a certificate and its key");
  }
  auto context = NewContext(true);
  if (!context) return std::unexpected(std::move(context.error()));
  auto loaded = (*context)->Load(options.files);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  auto alpn = (*context)->SetAlpn(options.alpn, options.require_alpn);
  if (!alpn) return std::unexpected(std::move(alpn.error()));
  if (!options.files.ca.empty()) {
    const int demand = options.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    (*context)->SetVerify(SSL_VERIFY_PEER | demand);
  }
  return std::shared_ptr<TlsContext>(std::move(*context));
}

Result<std::shared_ptr<TlsContext>> TlsContext::Client(TlsClientOptions options) {
  auto context = NewContext(false);
  if (!context) return std::unexpected(std::move(context.error()));
  auto loaded = (*context)->Load(options.files);
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  auto alpn = (*context)->SetAlpn(options.alpn, options.require_alpn);
  if (!alpn) return std::unexpected(std::move(alpn.error()));
  (*context)->SetVerify(options.verify_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE);
  return std::shared_ptr<TlsContext>(std::move(*context));
}

}  // namespace multigres
