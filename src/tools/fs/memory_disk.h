// The in-memory twin of the local disk, for the simulation: it outlives the process, crashes, and can be full.
#pragma once

#include <map>

#include "tools/fs/disk.h"

namespace multigres::fs {

class MemoryDisk final : public Disk {
 public:
  bool Exists(const std::string& path) const override { return seen_.contains(path); }
  Result<std::string> Read(const std::string& path) const override;
  Result<> Write(const std::string& path, std::string_view content, mode_t mode) override;
  Result<> Remove(const std::string& path) override;
  Result<> MakeDirectories(const std::string& /*path*/, mode_t /*mode*/) override { return {}; }

  // Power loss: what wasn't synced is gone.
  void Crash() { seen_ = durable_; }
  // Nothing can be written; what is there stays readable and can be removed.
  void SetFull(bool full) { full_ = full; }
  // As a writer that forgets to sync would have it.
  void SetSyncs(bool syncs) { syncs_ = syncs; }

 private:
  using Files = std::map<std::string, std::string>;
  Files seen_;
  Files durable_;
  bool full_ = false;
  bool syncs_ = true;
};

}  // namespace multigres::fs
