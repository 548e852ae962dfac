// From the configuration to the services: command lines, environments, ports, files.
#pragma once

#include <optional>
#include <vector>

#include "common/provisioner/cluster_config.h"
#include "common/provisioner/programs.h"
#include "common/provisioner/service_spec.h"
#include "common/provisioner/service_user.h"

namespace multigres::provisioner {

struct CellPlan {
  std::string name;
  ServiceSpec gateway;
  ServiceSpec pgctld;
  ServiceSpec pooler;
  ServiceSpec orch;
};

struct ClusterPlan {
  ServiceSpec etcd;
  ServiceSpec multiadmin;
  std::vector<CellPlan> cells;

  // In the order in which they are started.
  std::vector<const ServiceSpec*> All() const;
};

struct PlanOptions {
  std::string bind_address;  // empty = loopback
  std::optional<ServiceUser> user;
};

// Pure. Absolute paths throughout.
ClusterPlan MakeClusterPlan(const ClusterConfig& config, const Programs& programs, const PlanOptions& options);

// "127.0.0.1:2379": where the cluster's etcd answers its clients on this machine.
std::string EtcdAddress(const ClusterConfig& config);
// The file that holds the superuser's password.
std::string PasswordFile(const ClusterConfig& config, const CellConfig& cell);

}  // namespace multigres::provisioner
