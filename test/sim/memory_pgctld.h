// The daemon that starts, stops and rewinds a host's server: it works on whether or not its caller lives, one operation
// at a time, and ends with the host.
#pragma once

#include "services/multipooler/replication/postgres_process.h"
#include "test/sim/memory_postgres.h"
#include "tools/async/mutex.h"
#include "tools/async/task_group.h"

namespace multigres::sim {

class MemoryPgctld {
 public:
  // `clock`: the run's.
  MemoryPgctld(PostgresWorld& world, MemoryPostgres& postgres, Executor executor);

  using Source = pooler::replication::PostgresProcess::RewindSource;
  pooler::replication::ProcessStatus Status() const;
  Awaitable<Result<>> Start(bool as_primary, bool suspected_divergence);
  Awaitable<Result<>> Stop(Duration fast_timeout);
  Awaitable<Result<>> InitDataDir();
  Awaitable<Result<std::string>> Rewind(Source source, bool dry_run);

  // Where operations run.
  TaskGroup& tasks() { return tasks_; }
  // The host goes down. Over once Quiet().
  void End();
  bool Quiet() const { return tasks_.size() + end_.size() == 0; }

 private:
  Awaitable<Result<>> WaitUntilAccepting();
  Awaitable<void> Take(int least_ms, int most_ms);

  PostgresWorld& world_;
  MemoryPostgres& postgres_;
  Mutex mutex_;
  TaskGroup tasks_;
  TaskGroup end_;
};

}  // namespace multigres::sim
