// One service of a local cluster: how it is started, watched and stopped. Travels from the CLI to the supervisor, and
// into the service's state file, as JSON.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/result/error.h"

namespace multigres::provisioner {

// What stops together; in this order.
enum class StopPhase : std::uint8_t { kDatabase = 0, kAdmin = 1, kTopology = 2 };

struct ServiceSpec {
  std::string id;       // unique among those of its kind: "zone1", "pgctld-x7k2b9wd"
  std::string service;  // the program: "multigateway", "etcd"
  std::string cell;     // empty for those that belong to none
  StopPhase stop_phase = StopPhase::kDatabase;

  std::vector<std::string> argv;
  std::vector<std::string> environment;  // "NAME=value", added to the inherited one; never a secret
  std::string log_file;                  // stdout and stderr, appended
  std::string state_file;
  std::optional<uid_t> uid;  // run as
  std::optional<gid_t> gid;

  std::map<std::string, std::uint16_t> ports;  // by name: http_port, grpc_port, pg_port
  std::string host = "127.0.0.1";              // where its ports answer
  std::string data_dir;
  // pgctld: its gRPC socket, through which PostgreSQL is stopped before it, and PostgreSQL's data directory.
  std::string grpc_socket;
  std::string pg_data_dir;

  // "multigateway (zone1)", "etcd"
  std::string Display() const;
  friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

std::string ToJson(const ServiceSpec& spec);
// INVALID_ARGUMENT.
Result<ServiceSpec> ParseServiceSpec(const std::string& json);

}  // namespace multigres::provisioner
