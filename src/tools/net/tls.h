// TLS over any ByteStream, by OpenSSL with memory BIOs. TLS 1.2 or newer, no renegotiation, no compression.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tools/async/reactor.h"
#include "tools/net/byte_stream.h"

namespace multigres {

// PEM files.
struct TlsFiles {
  std::string cert;  // own certificate, leaf first, with its chain; a server needs it, a client for mutual TLS only
  std::string key;
  std::string ca;  // whom the peer's certificate must come from
};

struct TlsServerOptions {
  TlsFiles files;
  // With files.ca: a client certificate is demanded (true), or asked for and checked if one comes (false).
  bool require_client_certificate = true;
  std::vector<std::string> alpn;  // in order of preference; empty = ALPN isn't spoken
  // A client that doesn't offer one of `alpn` is refused (RFC 7301's no_application_protocol).
  bool require_alpn = false;
};

struct TlsClientOptions {
  TlsFiles files;             // without files.ca the system's trust store decides
  bool verify_server = true;  // chain and, if a server name is given, name
  std::vector<std::string> alpn;
  bool require_alpn = false;  // refuse a server that selects none
};

// Configuration and key of one endpoint, loaded once, shared by its connections. Immutable, so any thread may use it.
class TlsContext {
 public:
  // INVALID_ARGUMENT names the file that can't be read, or says why the pair doesn't fit.
  static Result<std::shared_ptr<TlsContext>> Server(TlsServerOptions options);
  static Result<std::shared_ptr<TlsContext>> Client(TlsClientOptions options);
  virtual ~TlsContext() = default;

  // DER of the own leaf certificate; empty if there is none.
  virtual const std::string& certificate() const = 0;
  // Channel binding data "tls-server-end-point" of the own certificate (RFC 5929, section 4.1): its hash by the hash of
  // its signature, SHA-256 in place of MD5 and SHA-1. Empty without a certificate.
  virtual const std::string& server_end_point() const = 0;
};

// An encrypted connection. After an error or the end of the peer's data nothing is to be had from it but Close().
// kEof also stands for a connection that ended without close_notify: what runs over it frames its own messages.
// TryWrite() reports bytes as written only when their records have gone to the stream below; after kWouldBlock come
// back with the same unwritten bytes.
class TlsStream : public ByteStream {
 public:
  bool IsEncrypted() const override { return true; }
  // The protocol agreed on; empty if none.
  virtual std::string_view alpn() const = 0;
  virtual std::string_view version() const = 0;  // "TLSv1.3"
  virtual std::string_view cipher() const = 0;   // "TLS_AES_256_GCM_SHA384"
  virtual int cipher_bits() const = 0;
  // The own side's context: its certificate is what SCRAM binds to.
  virtual const TlsContext& context() const = 0;
};

// The server's handshake. `initial` are bytes that were read from the stream already and belong to the handshake.
// Takes the stream; on failure it is closed, after the alert was sent. UNAVAILABLE with OpenSSL's reason,
// DEADLINE_EXCEEDED.
Awaitable<Result<std::unique_ptr<TlsStream>>> TlsAccept(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                        std::shared_ptr<TlsContext> context, Deadline deadline,
                                                        std::string initial = {});

// The client's. `server_name` (a DNS name or an IP literal) is verified, and sent as SNI if it is a name; may be empty.
// Note that a TLS 1.3 client is done before the server has judged its certificate: a refusal shows at the first read.
Awaitable<Result<std::unique_ptr<TlsStream>>> TlsConnect(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                                         std::shared_ptr<TlsContext> context, std::string server_name,
                                                         Deadline deadline);

// Channel binding data "tls-server-end-point" of a DER certificate, as TlsContext::server_end_point(): for a client,
// made of its peer's certificate.
std::string CertificateEndPoint(std::string_view der);
// Subject of a DER certificate as RFC 2253 text ("CN=pooler,O=multigres"); empty if it can't be parsed.
std::string CertificateSubject(std::string_view der);
// Its common name; empty if there is none.
std::string CertificateCommonName(std::string_view der);

}  // namespace multigres
