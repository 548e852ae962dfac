#include "tools/fs/memory_disk.h"

namespace multigres::fs {

Result<std::string> MemoryDisk::Read(const std::string& path) const {
  auto file = seen_.find(path);
  if (file == seen_.end()) return Fail(Code::kNotFound, path + ": no such file");
  return file->second;
}

Result<> MemoryDisk::Write(const std::string& path, std::string_view content, mode_t /*mode*/) {
  if (full_) return Fail(Code::kUnavailable, path + ": no space left on device");
  // Without a sync the kernel gets around to it some time: here, with the next write.
  auto before = seen_.find(path);
  if (syncs_ || before == seen_.end()) {
    durable_[path] = content;
  } else {
    durable_[path] = before->second;
  }
  seen_[path] = content;
  return {};
}

Result<> MemoryDisk::Remove(const std::string& path) {
  seen_.erase(path);
  durable_.erase(path);
  return {};
}

}  // namespace multigres::fs
