#include "common/servenv/environment.h"
#include "common/topoclient/etcdtopo/etcd_topo.h"
#include "common/topoclient/store.h"

namespace multigres::servenv {

namespace {

// Its operations by histogram, looked up once each: every label value is one of a few.
std::function<void(const topo::StoreOptions::LockSample&)> LockMetric(Metrics& metrics) {
  return [&metrics](const topo::StoreOptions::LockSample& sample) {
    static constexpr std::string_view kHelp = "How long acquiring or releasing a lock in the topology took.";
    metrics
        .AddHistogram({"topoclient.lock.duration", "s", std::string(kHelp)}, LatencyBounds(),
                      {{"operation", std::string(sample.operation)},
                       {"resource_type", std::string(sample.resource_type)},
                       {"result", std::string(sample.result)}})
        .Observe(std::chrono::duration<double>(sample.duration).count());
  };
}

std::vector<StatusPage::Row> ConnectionRows(const topo::Store& store) {
  std::vector<StatusPage::Row> rows;
  for (const auto& [cell, error] : store.status())
    rows.emplace_back("Cell: " + cell, error.empty() ? "healthy" : error);
  return rows;
}

}  // namespace

Result<std::unique_ptr<topo::Store>> OpenTopology(Environment& env, const TopoFlags& flags) {
  if (flags.global_server_addresses.empty()) {
    return Fail(Code::kInvalidArgument, "topo-global-server-addresses must be configured");
  }
  if (flags.global_root.empty()) return Fail(Code::kInvalidArgument, "topo-global-root must be non-empty");
  if (flags.read_concurrency <= 0) return Fail(Code::kInvalidArgument, "--topo-read-concurrency must be positive");
  if (flags.etcd_lease_ttl_s <= 0) return Fail(Code::kInvalidArgument, "--topo-etcd-lease-ttl must be positive");
  topo::EtcdOptions etcd{.lease_ttl = std::chrono::seconds(flags.etcd_lease_ttl_s),
                         .tls_cert_file = flags.etcd_tls_cert,
                         .tls_key_file = flags.etcd_tls_key,
                         .tls_ca_file = flags.etcd_tls_ca};
  topo::StoreOptions options{.global_addresses = flags.global_server_addresses,
                             .global_root = flags.global_root,
                             .lock_timeout = flags.lock_timeout,
                             .remote_operation_timeout = flags.remote_operation_timeout,
                             .read_concurrency = static_cast<std::size_t>(flags.read_concurrency),
                             .on_lock = LockMetric(env.metrics())};
  auto store = topo::Store::Create(env.reactor(), topo::NewEtcdBackend(env.reactor(), std::move(etcd)), env.random(),
                                   env.logger(), std::move(options));
  if (!store) return std::unexpected(std::move(store.error()));
  env.status_page().AddRows([raw = store->get()] { return ConnectionRows(*raw); });
  return store;
}

}  // namespace multigres::servenv
