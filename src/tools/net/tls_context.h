// The OpenSSL side of TlsContext, for tls.cc.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "tools/net/tls.h"

namespace multigres {

class OpensslContext final : public TlsContext {
 public:
  OpensslContext(SSL_CTX* ctx, bool server) : ctx_(ctx), server_(server) {}
  ~OpensslContext() override { SSL_CTX_free(ctx_); }
  OpensslContext(const OpensslContext&) = delete;
  OpensslContext& operator=(const OpensslContext&) = delete;

  const std::string& certificate() const override { return certificate_; }
  const std::string& server_end_point() const override { return server_end_point_; }

  SSL_CTX* ctx() const { return ctx_; }
  bool server() const { return server_; }
  bool verify() const { return verify_; }
  bool require_alpn() const { return require_alpn_; }
  const std::string& alpn_wire() const { return alpn_wire_; }

  Result<> Load(const TlsFiles& files);
  Result<> SetAlpn(const std::vector<std::string>& protocols, bool required);
  void SetVerify(int mode);

 private:
  SSL_CTX* ctx_;
  bool server_;
  bool verify_ = false;
  bool require_alpn_ = false;
  std::string alpn_wire_;  // length-prefixed names, in order of preference
  std::string certificate_;
  std::string server_end_point_;
};

// What OpenSSL's error queue says, which is emptied.
std::string TakeOpensslError();

}  // namespace multigres
