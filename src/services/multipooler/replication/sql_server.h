// The real PostgreSQL, by SQL.
#pragma once

#include <string>

#include "services/multipooler/replication/admin_sessions.h"
#include "services/multipooler/replication/server.h"

namespace multigres::pooler::replication {

class SqlServer final : public Server {
 public:
  // `data_dir`: where a promotion reserves its timeline.
  SqlServer(AdminSessions& sessions, std::string data_dir);

  Awaitable<Result<ServerState>> ReadState(Deadline deadline) override;
  Awaitable<Result<std::vector<Follower>>> ReadFollowers(Deadline deadline) override;
  Awaitable<Result<>> ChangeSettings(std::vector<SettingChange> changes, Deadline deadline) override;
  Awaitable<Result<>> Promote(std::int64_t term, Deadline deadline) override;
  Awaitable<Result<>> Checkpoint(Deadline deadline) override;
  Awaitable<Result<>> SetReplayPaused(bool paused, Deadline deadline) override;
  Awaitable<Result<ReloadReport>> Reload(std::map<std::string, std::string> expected, Deadline deadline) override;
  Awaitable<bool> IsPrimaryAt(std::string host, std::uint16_t port, Deadline deadline) override;
  void Disconnect() override { sessions_.DropIdle(); }

 private:
  Awaitable<Result<bool>> Visible(std::string condition, Deadline deadline);
  Awaitable<Result<ReloadReport>> CompareSettings(std::map<std::string, std::string> expected, Deadline deadline);

  AdminSessions& sessions_;
  const std::string data_dir_;
};

}  // namespace multigres::pooler::replication
