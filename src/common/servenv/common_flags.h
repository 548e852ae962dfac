// The flags that all services share, and the groups that a service opts into.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/servenv/flags.h"

namespace multigres::topo {
class Store;
}

namespace multigres::rpc {
struct ChannelOptions;
}

namespace multigres::servenv {

struct HttpFlags {
  std::uint16_t port = 0;  // 0 = any free port
  std::string bind_address;
  Duration lameduck_period = std::chrono::milliseconds(50);
  Duration onterm_timeout = std::chrono::seconds(30);
  Duration onclose_timeout = std::chrono::seconds(10);
  std::string hostname;
  std::string pid_file;
  bool pprof_http = true;
  std::vector<std::string> pprof;
  std::vector<std::string> service_map;
  std::int32_t reactors = 1;
};

struct LogFlags {
  std::string level = "info";
  std::string format = "json";
  std::string output = "stdout";
  bool err_stacks = false;
};

struct GrpcFlags {
  std::uint16_t port = 0;  // 0 = no TCP listener
  std::string bind_address;
  std::string socket_file;
  std::string cert, key, ca, server_ca;
  std::string crl;
  bool enable_optional_tls = false;
  std::string auth_mode;
  std::string auth_mtls_allowed_substrings;
  Duration max_connection_age = Duration::max();
  Duration max_connection_age_grace = Duration::max();
  Duration keepalive_time = std::chrono::seconds(10);
  Duration keepalive_timeout = std::chrono::seconds(10);
  Duration keepalive_min_time = std::chrono::seconds(10);
  bool keepalive_permit_without_stream = false;
  std::uint32_t initial_window_size = 0;
  std::uint32_t initial_conn_window_size = 0;
};

void RegisterHttpFlags(FlagSet& flags, HttpFlags* values);
void RegisterLogFlags(FlagSet& flags, LogFlags* values);
void RegisterGrpcFlags(FlagSet& flags, GrpcFlags* values);
// Refuses what isn't there and what doesn't fit together.
Result<> Validate(const HttpFlags& values);
Result<> Validate(const LogFlags& values);
Result<> Validate(const GrpcFlags& values);

// --topo-*, --lock-timeout, --remote-operation-timeout: every service but pgctld.
struct TopoFlags {
  std::vector<std::string> global_server_addresses;
  std::string global_root;
  std::int32_t read_concurrency = 32;
  std::int32_t etcd_lease_ttl_s = 30;
  std::string etcd_tls_cert, etcd_tls_key, etcd_tls_ca;
  Duration lock_timeout = std::chrono::seconds(45);
  Duration remote_operation_timeout = std::chrono::seconds(15);
};
void RegisterTopoFlags(FlagSet& flags, TopoFlags* values);

// --multipooler-grpc-*: how gateway, orch and admin reach poolers.
struct PoolerClientFlags {
  std::string cert, key, ca, crl, server_name;
  bool require_tls = false;
  bool UsesTls() const { return !cert.empty() || !ca.empty(); }
};
void RegisterPoolerClientFlags(FlagSet& flags, PoolerClientFlags* values);
// --multipooler-grpc-crl isn't supported; require-tls needs a ca.
Result<> Validate(const PoolerClientFlags& values);
// Channels to poolers as the flags want them.
rpc::ChannelOptions PoolerChannelOptions(const PoolerClientFlags& values);

}  // namespace multigres::servenv
