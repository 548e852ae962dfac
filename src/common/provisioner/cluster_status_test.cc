#include "common/provisioner/cluster_status.h"

#include <gtest/gtest.h>

namespace multigres::provisioner {
namespace {

ClusterStatus TwoServices() {
  ClusterStatus status;
  ServiceStatus etcd;
  etcd.service = "etcd";
  etcd.id = "default";
  etcd.running = true;
  etcd.pid = 100;
  etcd.ports = {2379, 2380};
  ServiceStatus gateway;
  gateway.service = "multigateway";
  gateway.cell = "zone1";
  gateway.id = "zone1";
  gateway.running = true;
  gateway.pid = 4321;
  gateway.restarts = 2;
  gateway.ports = {15170, 15100, 15432};
  gateway.last_exit = "signal 9 (Killed)";
  gateway.last_restart_at = "2026-01-02T03:04:05Z";
  status.services = {etcd, gateway};
  status.supervisor = 99;
  return status;
}

TEST(ClusterStatus, ShowsALineForEachServiceWithItsRestarts) {
  EXPECT_EQ(
      Render(TwoServices()),
      "Cluster status: Running\n"
      "Supervisor: running (PID 99)\n"
      "\n"
      "SERVICE       CELL   ID       STATUS   PID   RESTARTS  PORTS              LAST EXIT\n"
      "etcd          -      default  running  100   0         2379,2380          -\n"
      "multigateway  zone1  zone1    running  4321  2         15170,15100,15432  signal 9 (Killed), started again "
      "2026-01-02T03:04:05Z\n");
}

TEST(ClusterStatus, IsDegradedWithoutAServiceOrWithoutItsSupervisor) {
  ClusterStatus status = TwoServices();
  status.services[1].running = false;
  EXPECT_EQ(status.Verdict(), "Degraded");
  status = TwoServices();
  status.supervisor.reset();
  EXPECT_EQ(status.Verdict(), "Degraded");
  EXPECT_NE(Render(status).find("`multigres cluster start` starts one"), std::string::npos);
}

TEST(ClusterStatus, IsStoppedWithoutAnything) {
  ClusterStatus status = TwoServices();
  status.supervisor.reset();
  for (ServiceStatus& service : status.services) service.running = false;
  EXPECT_EQ(status.Verdict(), "Stopped");
}

TEST(ClusterStatus, OfAClusterThatNeverStartedListsItsServicesAsStopped) {
  auto random = SeededRandom(1);
  const ClusterStatus status = ReadClusterStatus(DefaultClusterConfig("/nonexistent-root", *random));
  EXPECT_EQ(status.services.size(), 14u);
  EXPECT_EQ(status.Verdict(), "Stopped");
}

}  // namespace
}  // namespace multigres::provisioner
