#include "tools/fs/disk.h"

#include "tools/fs/file.h"

namespace multigres::fs {

bool LocalDisk::Exists(const std::string& path) const {
  return fs::Exists(path);
}

Result<std::string> LocalDisk::Read(const std::string& path) const {
  return ReadFile(path);
}

Result<> LocalDisk::Write(const std::string& path, std::string_view content, mode_t mode) {
  return WriteFileAtomic(path, content, mode);
}

Result<> LocalDisk::Remove(const std::string& path) {
  auto removed = RemoveFile(path);
  if (!removed) return std::unexpected(std::move(removed.error()));
  if (!*removed) return {};
  const auto slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

Result<> LocalDisk::MakeDirectories(const std::string& path, mode_t mode) {
  return fs::MakeDirectories(path, mode);
}

}  // namespace multigres::fs
