// Files and folders. Errors carry the path and the system's text: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, else
// UNAVAILABLE. Everything here blocks for as long as the disk does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/result/error.h"

namespace multigres::fs {

Result<std::string> ReadFile(const std::string& path);
// All or nothing, also across a crash: writes a temporary file beside it, syncs it, renames it over `path` and syncs
// the folder.
Result<> WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode = 0644);
// Creates the file; ALREADY_EXISTS if there is one.
Result<> CreateExclusive(const std::string& path, std::string_view content, mode_t mode = 0644);
// True once it was there and is gone; false if it wasn't there.
Result<bool> RemoveFile(const std::string& path);

bool Exists(const std::string& path);
// mkdir -p; `mode` (umask applies not) for every folder that is made.
Result<> MakeDirectories(const std::string& path, mode_t mode = 0755);
// Everything below `path` and itself; nothing there is fine. Symbolic links are removed, not followed.
Result<> RemoveTree(const std::string& path);
// Names in the folder, sorted, without . and ..
Result<std::vector<std::string>> ListDirectory(const std::string& path);
// Syncs a folder (so that a rename within it survives a crash).
Result<> SyncDirectory(const std::string& path);

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;  // to an unprivileged user
};
Result<DiskSpace> DiskSpaceOf(const std::string& path);

// A folder of its own under $TMPDIR (else /tmp), removed with everything in it when destroyed.
class TempDir {
 public:
  static Result<TempDir> Create(std::string_view prefix);
  TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempDir& operator=(TempDir&& other) noexcept;
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// An advisory lock (flock) on a file, held until destroyed or the process ends. Children don't inherit it.
class LockFile {
 public:
  // FAILED_PRECONDITION if another process (or another LockFile) holds it. The file is created and never removed.
  static Result<LockFile> TryAcquire(const std::string& path);
  LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LockFile& operator=(LockFile&& other) noexcept;
  ~LockFile();

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace multigres::fs
