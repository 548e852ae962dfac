// A few small files that a process must never lose, as a seam: the local disk and, in the simulation, one in memory
// that forgets what wasn't synced.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::fs {

// Errors as in file.h. Calls block for as long as the disk does.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual bool Exists(const std::string& path) const = 0;
  // NOT_FOUND if there is none.
  virtual Result<std::string> Read(const std::string& path) const = 0;
  // All or nothing, and durable once it returns (WriteFileAtomic()).
  virtual Result<> Write(const std::string& path, std::string_view content, mode_t mode) = 0;
  // Durable once it returns; nothing there is fine.
  virtual Result<> Remove(const std::string& path) = 0;
  virtual Result<> MakeDirectories(const std::string& path, mode_t mode) = 0;
};

class LocalDisk final : public Disk {
 public:
  bool Exists(const std::string& path) const override;
  Result<std::string> Read(const std::string& path) const override;
  Result<> Write(const std::string& path, std::string_view content, mode_t mode) override;
  Result<> Remove(const std::string& path) override;
  Result<> MakeDirectories(const std::string& path, mode_t mode) override;
};

}  // namespace multigres::fs
