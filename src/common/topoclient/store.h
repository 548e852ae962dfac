// The topology of a cluster: one connection to the global store and one to each cell's, opened when first needed. The
// records are read and written by the functions of cells.h, databases.h, components.h and shards.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/topoclient/connection.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"
#include "tools/random/random.h"

namespace multigres::topo {

struct StoreOptions {
  std::vector<std::string> global_addresses;
  std::string global_root;
  Duration lock_timeout = std::chrono::seconds(45);
  Duration remote_operation_timeout = std::chrono::seconds(15);
  std::size_t read_concurrency = 32;
  // Told of every lock operation, for the metric topoclient.lock.duration.
  struct LockSample {
    std::string_view operation;  // lock, lock_with_ttl, lock_name, lock_name_with_ttl, try_lock, try_lock_name, unlock
    std::string_view resource_type;  // shard, backup
    std::string_view result;         // success, error, timeout
    Duration duration;
  };
  std::function<void(const LockSample&)> on_lock;
};

// Lives on one reactor. co_await Close() before destroying it, with no operation, lock or watch left.
class Store {
 public:
  // kBadInput texts: `topo-global-server-addresses must be configured`, `topo-global-root must be non-empty`. A store
  // that can't be reached is no error here.
  static Result<std::unique_ptr<Store>> Create(Reactor& reactor, std::unique_ptr<Backend> backend, Random& random,
                                               Logger logger, StoreOptions options);
  ~Store();

  Connection& global() { return *global_; }
  // Re-reads the Cell record and reconnects if it says something else than last time; if the global store can't be
  // reached, the connection of last time. kNoNode for an unknown cell. Ask anew for every operation or watch: a
  // connection that was replaced is closed at once, which ends its watches.
  Awaitable<Result<std::shared_ptr<Connection>>> ForCell(CallContext context, std::string cell);

  // "" = healthy, else the last error, by scope ("global" and each cell asked for so far). For status pages.
  const std::map<std::string, std::string>& status() const { return status_; }

  Clock& clock() { return reactor_.clock(); }
  Reactor& reactor() { return reactor_; }
  Random& random() { return random_; }
  const Logger& logger() const { return logger_; }
  const StoreOptions& options() const { return options_; }
  // For work that outlives whoever asked for it; Close() waits for its end.
  TaskGroup& background() { return tasks_; }

  Awaitable<void> Close();

 private:
  struct CellConnection {
    ConnectionSpec spec;
    std::shared_ptr<Connection> connection;
  };
  Store(Reactor& reactor, std::unique_ptr<Backend> backend, Random& random, Logger logger, StoreOptions options);
  std::shared_ptr<Connection> Open(ConnectionSpec spec);

  Reactor& reactor_;
  std::unique_ptr<Backend> backend_;
  Random& random_;
  Logger logger_;
  StoreOptions options_;
  std::map<std::string, std::string> status_;
  std::shared_ptr<Connection> global_;
  std::map<std::string, CellConnection> cells_;
  TaskGroup tasks_;
};

}  // namespace multigres::topo
