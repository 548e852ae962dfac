// TLS of a gRPC endpoint; files are PEM. TLS 1.2 or newer.
#pragma once

#include <string>

namespace multigres::rpc {

struct TlsOptions {
  std::string cert_file;  // own certificate chain; a server needs it, a client under mutual TLS
  std::string key_file;
  std::string ca_file;      // trust anchor for the peer; on a server it makes client certificates mandatory
  std::string server_name;  // client: name to verify and to send as SNI; empty = the address's host
};

}  // namespace multigres::rpc
