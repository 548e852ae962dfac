// multiorch: keeps every shard that it watches with a leader, by consensus among the shard's poolers.
#include <memory>

#include "clustermetadata.pb.h"
#include "common/rpc/channel.h"
#include "common/rpc/server.h"
#include "common/servenv/program.h"
#include "common/topoclient/store.h"
#include "services/multiorch/metrics.h"
#include "services/multiorch/service.h"

namespace multigres::orch {
namespace {

class OrchProgram final : public servenv::Program {
 public:
  servenv::ProgramInfo info() const override {
    return {.name = "multiorch",
            .title = "Multiorch",
            .description = "Watches the poolers of its shards and appoints their leaders."};
  }

  void RegisterFlags(servenv::FlagSet& flags) override {
    flags.SetEnvPrefix("MT_");
    flags.Add("cell", &config_.cell, "cell that this instance runs in", {.required = true});
    flags.Add("service-id", &config_.service_id, "name within the cell (random if empty)");
    flags.Add("watch-targets", &config_.watch_targets, "what to watch: db, db/tablegroup or db/tablegroup/shard",
              {.env = "MT_SHARD_WATCH_TARGETS", .required = true, .on_change = [this] { ReloadTargets(); }});
    auto live = [] { return servenv::FlagOptions{.on_change = [] {}}; };
    EngineOptions& engine = config_.engine;
    Thresholds& thresholds = engine.thresholds;
    flags.Add("recovery-cycle-interval", &engine.cycle_interval,
              "how often every shard is looked at, besides at once when there is news of it", live());
    flags.Add("pooler-health-check-interval", &thresholds.report_interval,
              "how often poolers report when nothing changes (for streams opened from then on)", live());
    flags.Add("failover-stagger", &engine.graces.stagger,
              "how long an orchestrator leaves each better-ranked one to appoint a leader first", live());
    flags.Add("leader-failover-grace-period-base", &engine.graces.base,
              "how long every orchestrator waits on top before it appoints a leader", live());
    flags.Add("leader-failover-grace-period-max-jitter", &engine.graces.max_jitter, "random time on top, at most",
              live());
    flags.Add("leader-unheard-threshold", &thresholds.unheard,
              "how long a leader may be silent before its followers are asked (three reports at least)", live());
    flags.Add("leader-stall-threshold", &thresholds.stall,
              "how long a leader's answers or commits may stand still while no follower sees it move (several of its "
              "heartbeats)",
              live());
    flags.Add("leader-stuck-threshold", &thresholds.stuck,
              "how long a leader that answers may commit nothing, whatever its followers see", live());
    flags.Add("leader-postgres-response-threshold", &thresholds.leader_response,
              "how long a running leader may be unready before it is replaced, whatever its followers see", live());
    flags.Add("leader-pooler-grace", &thresholds.leader_pooler,
              "how long a leader's pooler may be gone while its PostgreSQL still streams", live());
    flags.Add("verify-replication-timeout", &config_.verify_replication_timeout,
              "how long a repaired follower may take to stream");
    servenv::RegisterTopoFlags(flags, &topo_flags_);
    servenv::RegisterPoolerClientFlags(flags, &client_flags_);
  }

  Awaitable<Result<>> Init(servenv::Environment& env) override {
    env_ = &env;
    auto targets = WatchTargets::Parse(config_.watch_targets);
    if (!targets) co_return std::unexpected(std::move(targets.error()));
    auto valid = Validate(config_);
    if (!valid) co_return valid;
    auto client_flags = servenv::Validate(client_flags_);
    if (!client_flags) co_return client_flags;
    if (config_.service_id.empty()) config_.service_id = RandomId(env.random());
    auto store = servenv::OpenTopology(env, topo_flags_);
    if (!store) co_return std::unexpected(std::move(store.error()));
    store_ = std::move(*store);
    env.status_page().AddRow("Service ID", config_.service_id);
    env.status_page().AddInitialization(
        [this] { return service_ == nullptr ? "Starting" : service_->InitializationStatus(); });
    env.status_page().AddTables(
        [this] { return service_ == nullptr ? std::vector<servenv::StatusTable>() : service_->StatusTables(); });
    service_ = std::make_unique<Service>(config_, std::move(*targets), Self(), env.reactor(), *store_, env.random(),
                                         env.logger(), servenv::PoolerChannelOptions(client_flags_));
    env.grpc().Register(service_->grpc());
    observers_ = ObserveOrch(env.metrics(), service_->engine(), service_->board());
    co_return Result<>{};
  }

  Awaitable<Result<>> OnRun() override {
    clustermetadata::MultiOrch record;
    *record.mutable_id() = Self();
    record.set_hostname(env_->hostname());
    if (env_->grpc_flags().port != 0) (*record.mutable_port_map())["grpc"] = env_->grpc_flags().port;
    (*record.mutable_port_map())["http"] = env_->http_port();
    co_await service_->Start(std::move(record));
    co_return Result<>{};
  }

  Awaitable<Result<>> CheckReady() override { co_return co_await service_->CheckReady(); }

  Awaitable<void> OnClose() override {
    observers_.clear();
    if (service_ != nullptr) co_await service_->Stop();
    if (store_ != nullptr) co_await store_->Close();
  }

 private:
  void ReloadTargets() {
    auto targets = WatchTargets::Parse(config_.watch_targets);
    if (!targets) {
      env_->logger().Warn("watch targets not changed", {{"error", targets.error()}});
    } else if (service_ != nullptr) {
      service_->SetTargets(std::move(*targets));
    }
  }

  clustermetadata::ID Self() const {
    clustermetadata::ID id;
    id.set_component(clustermetadata::ID::MULTIORCH);
    id.set_cell(config_.cell);
    id.set_name(config_.service_id);
    return id;
  }

  Config config_;
  servenv::TopoFlags topo_flags_;
  servenv::PoolerClientFlags client_flags_;
  servenv::Environment* env_ = nullptr;
  std::unique_ptr<topo::Store> store_;
  std::unique_ptr<Service> service_;
  std::vector<Metrics::Observer> observers_;
};

}  // namespace
}  // namespace multigres::orch

int main(int argc, char** argv) {
  multigres::orch::OrchProgram program;
  return multigres::servenv::RunProgram(argc, argv, program);
}
