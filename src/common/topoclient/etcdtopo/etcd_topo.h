// The topology store in etcd v3 (3.4 or newer), over our own gRPC runtime.
#pragma once

#include <memory>
#include <string>

#include "common/topoclient/connection.h"
#include "tools/async/reactor.h"

namespace multigres::topo {

struct EtcdOptions {
  Duration lease_ttl = std::chrono::seconds(30);  // --topo-etcd-lease-ttl
  // TLS (1.2 or newer) only if both cert and key are set; a ca alone is ignored.
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string tls_ca_file;
  Duration dial_timeout = std::chrono::seconds(1);  // per server address, tried in turn
  Duration operation_timeout = std::chrono::seconds(15);
};

// Server addresses are "host:port". The backend must outlive its connections.
std::unique_ptr<Backend> NewEtcdBackend(Reactor& reactor, EtcdOptions options = {});

}  // namespace multigres::topo
