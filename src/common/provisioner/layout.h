// Where a local cluster keeps what: the folders below root-working-dir.
#pragma once

#include <string>

#include "common/provisioner/cluster_config.h"

namespace multigres::provisioner {

class Layout {
 public:
  explicit Layout(const ClusterConfig& config) : root_(config.root_working_dir) {}

  const std::string& root() const { return root_; }
  std::string data_dir() const { return root_ + "/data"; }
  std::string sockets_dir() const { return root_ + "/sockets"; }
  std::string logs_dir() const { return root_ + "/logs"; }
  std::string state_dir() const { return root_ + "/state"; }
  std::string bin_dir() const { return root_ + "/bin"; }
  std::string certs_dir() const { return root_ + "/certs"; }
  std::string spool_dir() const { return root_ + "/spool"; }

  std::string supervisor_lock() const { return root_ + "/supervisor.lock"; }
  std::string supervisor_socket() const { return state_dir() + "/supervisor.sock"; }
  std::string supervisor_state() const { return state_dir() + "/supervisor.json"; }
  std::string supervisor_log() const { return logs_dir() + "/supervisor.log"; }

  // `database` is empty for services that belong to none.
  std::string LogFile(const std::string& database, const std::string& service, const std::string& id) const {
    return logs_dir() + Database(database) + "/" + service + "/" + id + ".log";
  }
  std::string StateFile(const std::string& database, const std::string& service, const std::string& id) const {
    return state_dir() + Database(database) + "/" + service + "_" + id + ".json";
  }

 private:
  static std::string Database(const std::string& name) { return name.empty() ? "" : "/dbs/" + name; }
  std::string root_;
};

}  // namespace multigres::provisioner
