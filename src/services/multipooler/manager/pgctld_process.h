// PostgresProcess through pgctld's gRPC service.
#pragma once

#include <memory>

#include "common/rpc/channel.h"
#include "services/multipooler/replication/postgres_process.h"

namespace multigres::pooler::manager {

class PgctldProcess final : public replication::PostgresProcess {
 public:
  PgctldProcess(Reactor& reactor, Address pgctld);
  ~PgctldProcess() override;
  // Must be awaited before destruction.
  Awaitable<void> Close();

  Awaitable<Result<replication::ProcessStatus>> Status(Deadline deadline) override;
  Awaitable<Result<>> StartAsStandby(bool suspected_divergence) override;
  Awaitable<Result<>> StartAsPrimary() override;
  Awaitable<Result<>> Stop(Duration fast_timeout) override;
  Awaitable<Result<>> InitDataDir() override;
  Awaitable<Result<std::string>> Rewind(RewindSource source, bool dry_run) override;
  Awaitable<Result<>> StopRestoreCommand() override;

 private:
  rpc::CallOptions Within(Duration timeout);
  Awaitable<Result<>> StopWith(std::string mode, Duration timeout);

  Reactor& reactor_;
  std::unique_ptr<rpc::Channel> channel_;
};

}  // namespace multigres::pooler::manager
