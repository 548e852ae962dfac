#include "common/provisioner/cluster_plan.h"

#include <gtest/gtest.h>

namespace multigres::provisioner {
namespace {

ClusterPlan PlanOf(const PlanOptions& options = {}) {
  auto random = SeededRandom(1);
  ClusterConfig config = DefaultClusterConfig("/r", *random);
  for (CellConfig& cell : config.cells) {
    cell.gateway.service_id = cell.name + "gw";
    cell.orch.service_id = cell.name + "orch";
    cell.pooler.service_id = cell.name + "id";
    cell.pooler.pooler_dir = "data/pooler_" + cell.pooler.service_id;
    cell.pgctld.pooler_dir = cell.pooler.pooler_dir;
  }
  Programs programs;
  programs.etcd = "/usr/bin/etcd";
  programs.pg_bin_dir = "/usr/lib/postgresql/15/bin";
  for (const std::string_view name : kServicePrograms) {
    programs.services[std::string(name)] = "/b/" + std::string(name);
  }
  return MakeClusterPlan(config, programs, options);
}

std::string Command(const ServiceSpec& spec) {
  return fmt::format("{}", fmt::join(spec.argv, " "));
}

TEST(ClusterPlan, CommandLinesAreThoseOfTheDocumentation) {
  const ClusterPlan plan = PlanOf();
  EXPECT_EQ(Command(plan.etcd),
            "/usr/bin/etcd --name=default --data-dir=/r/data/etcd-data --listen-client-urls=http://127.0.0.1:2379 "
            "--advertise-client-urls=http://127.0.0.1:2379 --listen-peer-urls=http://127.0.0.1:2380 "
            "--initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=default=http://127.0.0.1:2380 "
            "--listen-metrics-urls=http://127.0.0.1:2381 --log-outputs=stderr");
  EXPECT_EQ(Command(plan.multiadmin),
            "/b/multiadmin --http-port=15000 --grpc-port=15070 --bind-address=127.0.0.1 --grpc-bind-address=127.0.0.1 "
            "--log-level=info --log-output=/r/logs/multiadmin/default.log --hostname=localhost "
            "--topo-global-server-addresses=127.0.0.1:2379 --topo-global-root=/multigres/global "
            "--service-map=grpc-multiadmin");
  const CellPlan& second = plan.cells[1];
  EXPECT_EQ(Command(second.gateway),
            "/b/multigateway --http-port=15101 --grpc-port=15171 --bind-address=127.0.0.1 "
            "--grpc-bind-address=127.0.0.1 --log-level=info --log-output=/r/logs/dbs/postgres/multigateway/zone2.log "
            "--hostname=localhost --topo-global-server-addresses=127.0.0.1:2379 --topo-global-root=/multigres/global "
            "--cell=zone2 --service-id=zone2gw --pg-port=15433 --pg-replica-port=15533 --pg-bind-address=127.0.0.1");
  EXPECT_EQ(Command(second.pgctld),
            "/b/pgctld server --http-port=15401 --grpc-port=15471 --bind-address=127.0.0.1 "
            "--grpc-bind-address=127.0.0.1 --log-level=info "
            "--log-output=/r/logs/dbs/postgres/pgctld/pgctld-zone2id.log --pooler-dir=/r/data/pooler_zone2id "
            "--pg-bin-dir=/usr/lib/postgresql/15/bin --pg-listen-addresses=127.0.0.1 --pg-port=25433 "
            "--pg-database=postgres --pg-user=postgres --timeout=30 --grpc-socket-file=/r/sockets/pgctld-zone2.sock");
  EXPECT_EQ(Command(second.pooler),
            "/b/multipooler --http-port=15201 --grpc-port=15271 --bind-address=127.0.0.1 "
            "--grpc-bind-address=127.0.0.1 --log-level=info --log-output=/r/logs/dbs/postgres/multipooler/zone2id.log "
            "--hostname=localhost --topo-global-server-addresses=127.0.0.1:2379 --topo-global-root=/multigres/global "
            "--cell=zone2 --database=postgres --table-group=default --shard=0-inf --service-id=zone2id "
            "--pgctld-addr=localhost:15471 --pooler-dir=/r/data/pooler_zone2id --pg-port=25433 "
            "--socket-file=/r/data/pooler_zone2id/pg_sockets/.s.PGSQL.25433 "
            "--grpc-socket-file=/r/sockets/multipooler-zone2.sock --service-map=grpc-pooler");
  EXPECT_EQ(Command(second.orch),
            "/b/multiorch --http-port=15301 --grpc-port=15371 --bind-address=127.0.0.1 --grpc-bind-address=127.0.0.1 "
            "--log-level=info --log-output=/r/logs/dbs/postgres/multiorch/zone2.log --hostname=localhost "
            "--topo-global-server-addresses=127.0.0.1:2379 --topo-global-root=/multigres/global --cell=zone2 "
            "--service-id=zone2orch --watch-targets=postgres --pooler-health-check-interval=200ms "
            "--recovery-cycle-interval=500ms");
}

TEST(ClusterPlan, ACellMayHaveProgramsOfItsOwn) {
  auto random = SeededRandom(1);
  const ClusterConfig config = DefaultClusterConfig("/r", *random);
  Programs programs;
  for (const std::string_view name : kServicePrograms) {
    programs.services[std::string(name)] = "/b/" + std::string(name);
  }
  programs.services["zone2/multigateway"] = "/other/gateway";
  const ClusterPlan plan = MakeClusterPlan(config, programs, {});
  EXPECT_EQ(plan.cells[0].gateway.argv[0], "/b/multigateway");
  EXPECT_EQ(plan.cells[1].gateway.argv[0], "/other/gateway");
}

TEST(ClusterPlan, PostgresIsToldWhereByEnvironment) {
  const ServiceSpec pgctld = PlanOf().cells[0].pgctld;
  EXPECT_EQ(pgctld.environment[0], "PGDATA=/r/data/pooler_zone1id/pg_data");
  EXPECT_EQ(pgctld.environment[1], "POSTGRES_PASSWORD_FILE=/r/data/pooler_zone1id/postgres-password");
}

TEST(ClusterPlan, DatabaseServicesStopFirstAndEtcdLast) {
  const ClusterPlan plan = PlanOf();
  EXPECT_EQ(plan.etcd.stop_phase, StopPhase::kTopology);
  EXPECT_EQ(plan.multiadmin.stop_phase, StopPhase::kAdmin);
  EXPECT_EQ(plan.cells[0].pgctld.stop_phase, StopPhase::kDatabase);
}

TEST(ClusterPlan, StateFilesAreUniqueAndNamedAfterServiceAndId) {
  const ClusterPlan plan = PlanOf();
  std::set<std::string> files;
  for (const ServiceSpec* spec : plan.All()) files.insert(spec->state_file);
  EXPECT_EQ(files.size(), 14u);
  EXPECT_TRUE(files.contains("/r/state/etcd_default.json"));
  EXPECT_TRUE(files.contains("/r/state/dbs/postgres/pgctld_pgctld-zone3id.json"));
}

TEST(ClusterPlan, EverythingListensOnTheBindAddress) {
  PlanOptions options;
  options.bind_address = "0.0.0.0";
  const ClusterPlan plan = PlanOf(options);
  EXPECT_NE(Command(plan.cells[0].gateway).find("--pg-bind-address=0.0.0.0"), std::string::npos);
  EXPECT_EQ(plan.cells[0].gateway.host, "127.0.0.1");
  EXPECT_EQ(Command(plan.cells[0].gateway).find("=127.0.0.1 "), std::string::npos);
}

TEST(ServiceSpec, SurvivesJson) {
  PlanOptions options;
  options.user = ServiceUser{.uid = 12, .gid = 34};
  const ServiceSpec spec = PlanOf(options).cells[0].pgctld;
  auto parsed = ParseServiceSpec(ToJson(spec));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(*parsed, spec);
  EXPECT_FALSE(ParseServiceSpec("{}"));
  EXPECT_FALSE(ParseServiceSpec("nonsense"));
}

}  // namespace
}  // namespace multigres::provisioner
