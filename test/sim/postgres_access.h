// One pooler process's hold on its host's PostgreSQL: the seams of the manager over the twins. Severed when the process
// dies: nothing that it still does has any effect.
#pragma once

#include "services/multipooler/consensus/postgres.h"
#include "test/sim/memory_pgctld.h"

namespace multigres::sim {

class PostgresAccess {
 public:
  // `clock`: the host's. `pgctld` may be null later on: the host is down.
  PostgresAccess(PostgresWorld& world, MemoryPostgres& postgres, std::shared_ptr<MemoryPgctld> pgctld, Clock& clock);
  ~PostgresAccess();

  pooler::consensus::Postgres Seams();
  void Sever() { severed_ = true; }
  bool severed() const { return severed_; }

  // A statement's way to the server: an error if there is none, or none that answers in time.
  Awaitable<Result<>> Reach(Deadline deadline);
  // Waits for the commit's fate. Whoever waited too long may cancel it, which makes it visible, or leave it hanging.
  Awaitable<Result<>> Await(std::shared_ptr<MemoryPostgres::Commit> commit, Deadline deadline);

 private:
  class Process;
  class Server;
  class Schema;
  class Data;

  PostgresWorld& world_;
  MemoryPostgres& postgres_;
  std::shared_ptr<MemoryPgctld> pgctld_;
  Clock& clock_;
  bool severed_ = false;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Schema> schema_;
  std::unique_ptr<Data> data_;
};

}  // namespace multigres::sim
