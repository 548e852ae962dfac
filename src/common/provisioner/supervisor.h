// The owner of a local cluster's services: starts them, brings back those that die, stops them in order.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/provisioner/service_state.h"
#include "tools/async/task_group.h"
#include "tools/log/logger.h"
#include "tools/process/process.h"
#include "tools/random/random.h"

namespace multigres::provisioner {

struct SupervisorOptions {
  // Delay before a dead service is started again: full jitter, reset once it has been up long enough.
  Duration backoff_base = std::chrono::milliseconds(500);
  Duration backoff_max = std::chrono::seconds(30);
  Duration stable_after = std::chrono::seconds(60);
  // Between SIGTERM and SIGKILL.
  Duration stop_grace = std::chrono::seconds(2);
  // Awaited before a service gets its SIGTERM, and again after its end; failures are logged.
  std::function<Awaitable<Result<>>(const ServiceSpec& spec)> before_stop;
  std::function<Awaitable<Result<>>(const ServiceSpec& spec)> after_stop;
};

// Lives on one reactor. Every service's state file is written right after each start. Processes that outlive it (it was
// killed) are adopted by the next one: by pid and start time, so never a stranger's.
class Supervisor {
 public:
  Supervisor(Reactor& reactor, Random& random, Logger logger, SupervisorOptions options);
  ~Supervisor();

  struct Started {
    pid_t pid = 0;
    bool was_running = false;  // it is one of ours, or one that its state file names and that was adopted now
  };
  // Starts the service unless it runs already. NOT_FOUND (no such program), FAILED_PRECONDITION (stopping), ...
  Result<Started> Start(ServiceSpec spec);
  // Takes over what the state files say and what still runs. Returns how many.
  int AdoptAll(const std::string& state_dir);

  struct Status {
    std::string id;
    std::string service;
    pid_t pid = 0;
    bool running = false;
    int restarts = 0;
    // Ends since it was handed to this supervisor.
    int exits = 0;
    std::string last_exit;
  };
  std::vector<Status> List() const;

  // Ends every service for good, phase by phase, and removes their state and log files. Warnings: what went wrong.
  Awaitable<std::vector<std::string>> StopAll();
  // Ends the supervision; the services run on. For tests, and for a CLI that has only looked.
  Awaitable<void> Detach();

 private:
  struct Service;
  static Awaitable<void> Watch(Supervisor& self, std::shared_ptr<Service> service);
  static Awaitable<void> StopOne(Supervisor& self, std::shared_ptr<Service> service,
                                 std::vector<std::string>& warnings);
  Result<> Spawn(Service& service);
  void Save(const Service& service);
  void Attach(std::shared_ptr<Service> service);

  Reactor& reactor_;
  Random& random_;
  Logger logger_;
  SupervisorOptions options_;
  bool stopping_ = false;
  std::map<std::string, std::shared_ptr<Service>> services_;  // by state file
  TaskGroup tasks_;                                           // one for each service
  TaskGroup stops_;
};

}  // namespace multigres::provisioner
