#include "common/servenv/common_flags.h"

#include "common/rpc/channel.h"

namespace multigres::servenv {

void RegisterHttpFlags(FlagSet& flags, HttpFlags* values) {
  flags.Add("http-port", &values->port, "HTTP port for the status page, probes and metrics; 0 = any free port");
  flags.Add("bind-address", &values->bind_address, "address that HTTP listens on; empty = all");
  flags.Add("hostname", &values->hostname, "name under which others reach this process");
  flags.Add("pid-file", &values->pid_file, "file to write the process id to");
  flags.Add("pprof-http", &values->pprof_http, "serve /debug/pprof/");
  flags.Add("pprof", &values->pprof, "profile to write");
  flags.Add("service-map", &values->service_map, "gRPC services to switch on (grpc-X) or off (-grpc-X)");
  flags.Add("lameduck-period", &values->lameduck_period, "how long at least the process answers after SIGTERM");
  flags.Add("onterm-timeout", &values->onterm_timeout, "how long running requests may take after SIGTERM");
  flags.Add("onclose-timeout", &values->onclose_timeout, "how long closing may take after that");
  flags.Add("reactors", &values->reactors, "threads that serve connections; 0 = one per core");
}

void RegisterLogFlags(FlagSet& flags, LogFlags* values) {
  flags.Add("log-level", &values->level, "debug, info, warn or error");
  flags.Add("log-format", &values->format, "json or text");
  flags.Add("log-output", &values->output, "stdout, stderr or a file");
  flags.Add("log-err-stacks", &values->err_stacks, "log where errors come from");
}

void RegisterGrpcFlags(FlagSet& flags, GrpcFlags* values) {
  flags.Add("grpc-port", &values->port, "gRPC port; 0 = none");
  flags.Add("grpc-bind-address", &values->bind_address, "address that gRPC listens on; empty = all");
  flags.Add("grpc-socket-file", &values->socket_file, "unix socket that gRPC listens on too");
  flags.Add("grpc-cert", &values->cert, "certificate of the gRPC server: switches TLS on");
  flags.Add("grpc-key", &values->key, "key of --grpc-cert");
  flags.Add("grpc-ca", &values->ca, "who signs clients' certificates: switches mutual TLS on");
  flags.Add("grpc-server-ca", &values->server_ca, "intermediates to send along with --grpc-cert");
  flags.Add("grpc-crl", &values->crl, "revoked certificates (not supported)");
  flags.Add("grpc-enable-optional-tls", &values->enable_optional_tls, "take plain connections too (not supported)");
  flags.Add("grpc-auth-mode", &values->auth_mode, "mtls: clients' certificates must match the next flag");
  flags.Add("grpc-auth-mtls-allowed-substrings", &values->auth_mtls_allowed_substrings,
            "parts of subjects of clients that are let in, separated by ':'");
  flags.Add("grpc-max-connection-age", &values->max_connection_age, "when a gRPC connection is asked to go");
  flags.Add("grpc-max-connection-age-grace", &values->max_connection_age_grace, "and how long its calls may take then");
  flags.Add("grpc-server-keepalive-time", &values->keepalive_time, "silence after which a client is pinged");
  flags.Add("grpc-server-keepalive-timeout", &values->keepalive_timeout, "how long it may take to answer");
  flags.Add("grpc-server-keepalive-enforcement-policy-min-time", &values->keepalive_min_time,
            "shortest interval of a client's own pings");
  flags.Add("grpc-server-keepalive-enforcement-policy-permit-without-stream", &values->keepalive_permit_without_stream,
            "let clients ping without an open call");
  flags.Add("grpc-server-initial-window-size", &values->initial_window_size,
            "flow control window of a call; 0 = default");
  flags.Add("grpc-server-initial-conn-window-size", &values->initial_conn_window_size,
            "flow control window of a connection; 0 = default");
}

Result<> Validate(const HttpFlags& values) {
  if (!values.pprof.empty()) {
    return Fail(Code::kInvalidArgument, "--pprof: profiling modes are not built in; use perf");
  }
  if (values.reactors < 0 || values.reactors > 1024) {
    return Fail(Code::kInvalidArgument, "--reactors must be from 0 to 1024");
  }
  for (const Duration timeout : {values.lameduck_period, values.onterm_timeout, values.onclose_timeout}) {
    if (timeout < Duration::zero()) {
      return Fail(Code::kInvalidArgument,
                  "--lameduck-period, --onterm-timeout and --onclose-timeout must not be negative");
    }
  }
  return {};
}

Result<> Validate(const LogFlags& values) {
  if (values.err_stacks) return Fail(Code::kInvalidArgument, "--log-err-stacks is not built in");
  return {};
}

Result<> Validate(const GrpcFlags& values) {
  const auto refuse = [](std::string text) { return Fail(Code::kInvalidArgument, std::move(text)); };
  if (!values.crl.empty()) return refuse("--grpc-crl is not supported");
  if (values.enable_optional_tls) return refuse("--grpc-enable-optional-tls is not supported");
  if (values.cert.empty() != values.key.empty()) return refuse("--grpc-cert and --grpc-key must be given together");
  if (!values.ca.empty() && values.cert.empty()) return refuse("--grpc-ca needs --grpc-cert and --grpc-key");
  if (!values.server_ca.empty()) {
    return refuse("--grpc-server-ca is not supported: append the intermediates to the file of --grpc-cert");
  }
  if (!values.auth_mode.empty() && values.auth_mode != "mtls") {
    return refuse("invalid value '" + values.auth_mode + "' for --grpc-auth-mode: not mtls");
  }
  if (values.auth_mode == "mtls" && (values.ca.empty() || values.auth_mtls_allowed_substrings.empty())) {
    return refuse(
        "--grpc-auth-mode mtls needs --grpc-cert, --grpc-key, --grpc-ca and --grpc-auth-mtls-allowed-substrings");
  }
  if (values.keepalive_time <= Duration::zero() || values.keepalive_timeout <= Duration::zero()) {
    return refuse("--grpc-server-keepalive-time and --grpc-server-keepalive-timeout must be positive");
  }
  if (values.initial_window_size > INT32_MAX || values.initial_conn_window_size > INT32_MAX) {
    return refuse("--grpc-server-initial-window-size and -conn-window-size must be below 2147483648");
  }
  return {};
}

void RegisterTopoFlags(FlagSet& flags, TopoFlags* values) {
  flags.Add("topo-global-server-addresses", &values->global_server_addresses, "host:port of the global etcd servers",
            {.env = "MT_TOPO_GLOBAL_SERVER_ADDRESSES"});
  flags.Add("topo-global-root", &values->global_root, "root of the global topology in etcd",
            {.env = "MT_TOPO_GLOBAL_ROOT"});
  flags.Add("topo-read-concurrency", &values->read_concurrency, "topology reads at the same time");
  flags.Add("topo-etcd-lease-ttl", &values->etcd_lease_ttl_s, "seconds that a lock outlives its holder");
  flags.Add("topo-etcd-tls-cert", &values->etcd_tls_cert, "client certificate for etcd");
  flags.Add("topo-etcd-tls-key", &values->etcd_tls_key, "key of --topo-etcd-tls-cert");
  flags.Add("topo-etcd-tls-ca", &values->etcd_tls_ca, "who signs etcd's certificate");
  flags.Add("lock-timeout", &values->lock_timeout, "how long acquiring a lock may take", {.env = "MT_LOCK_TIMEOUT"});
  flags.Add("remote-operation-timeout", &values->remote_operation_timeout, "how long a remote operation may take",
            {.env = "MT_REMOTE_OPERATION_TIMEOUT"});
}

void RegisterPoolerClientFlags(FlagSet& flags, PoolerClientFlags* values) {
  flags.Add("multipooler-grpc-cert", &values->cert, "client certificate for poolers");
  flags.Add("multipooler-grpc-key", &values->key, "key of --multipooler-grpc-cert");
  flags.Add("multipooler-grpc-ca", &values->ca, "who signs poolers' certificates: switches TLS on");
  flags.Add("multipooler-grpc-crl", &values->crl, "revoked certificates (not supported)");
  flags.Add("multipooler-grpc-server-name", &values->server_name,
            "name in the poolers' certificates, if not their host's");
  flags.Add("multipooler-grpc-require-tls", &values->require_tls, "refuse to talk to poolers without TLS");
}

Result<> Validate(const PoolerClientFlags& values) {
  if (!values.crl.empty()) return Fail(Code::kInvalidArgument, "--multipooler-grpc-crl is not supported");
  if (values.cert.empty() != values.key.empty()) {
    return Fail(Code::kInvalidArgument, "--multipooler-grpc-cert and --multipooler-grpc-key must be given together");
  }
  if (values.require_tls && !values.UsesTls()) {
    return Fail(Code::kInvalidArgument, "--multipooler-grpc-require-tls needs --multipooler-grpc-ca or -cert");
  }
  return {};
}

rpc::ChannelOptions PoolerChannelOptions(const PoolerClientFlags& values) {
  rpc::ChannelOptions options;
  if (values.UsesTls()) {
    options.tls = rpc::TlsOptions{
        .cert_file = values.cert, .key_file = values.key, .ca_file = values.ca, .server_name = values.server_name};
  }
  return options;
}

}  // namespace multigres::servenv
