#include "tools/fs/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace multigres::fs {

namespace {

Error SystemError(const std::string& what, const std::string& path, int number) {
  Code code = Code::kUnavailable;
  if (number == ENOENT || number == ENOTDIR) code = Code::kNotFound;
  if (number == EEXIST) code = Code::kAlreadyExists;
  if (number == EACCES || number == EPERM) code = Code::kPermissionDenied;
  return Error(code, what + " '" + path + "': " + std::strerror(number));
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

bool WriteFully(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string FolderOf(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Removes what is below the folder that `parent` (a descriptor) has by this name, and the folder.
Result<> RemoveAt(int parent, const char* name, const std::string& shown) {
  struct stat info{};
  if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(SystemError("remove", shown, errno));
  }
  if (!S_ISDIR(info.st_mode)) {
    if (::unlinkat(parent, name, 0) != 0 && errno != ENOENT)
      return std::unexpected(SystemError("remove", shown, errno));
    return {};
  }
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return std::unexpected(SystemError("remove", shown, errno));
  DIR* folder = ::fdopendir(fd);
  if (folder == nullptr) {
    const int number = errno;
    ::close(fd);
    return std::unexpected(SystemError("remove", shown, number));
  }
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view child = entry->d_name;
    if (child == "." || child == "..") continue;
    auto removed = RemoveAt(fd, entry->d_name, shown + "/" + entry->d_name);
    if (!removed) {
      ::closedir(folder);
      return removed;
    }
  }
  ::closedir(folder);
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return std::unexpected(SystemError("remove", shown, errno));
  }
  return {};
}

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return std::unexpected(SystemError("read", path, errno));
  std::string content;
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(SystemError("read", path, errno));
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Result<> SyncDirectory(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok() || ::fsync(fd.get()) != 0) return std::unexpected(SystemError("sync folder", path, errno));
  return {};
}

Result<> WriteFileAtomic(const std::string& path, std::string_view content, mode_t mode) {
  std::string temporary = path + ".XXXXXX";
  {
    const Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd.ok()) return std::unexpected(SystemError("write", path, errno));
    if (!WriteFully(fd.get(), content) || ::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0) {
      Error error = SystemError("write", path, errno);
      ::unlink(temporary.c_str());
      return std::unexpected(std::move(error));
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = SystemError("write", path, errno);
    ::unlink(temporary.c_str());
    return std::unexpected(std::move(error));
  }
  return SyncDirectory(FolderOf(path));
}

Result<> CreateExclusive(const std::string& path, std::string_view content, mode_t mode) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.ok()) return std::unexpected(SystemError("create", path, errno));
  if (!WriteFully(fd.get(), content) || ::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0) {
    Error error = SystemError("create", path, errno);
    ::unlink(path.c_str());
    return std::unexpected(std::move(error));
  }
  return SyncDirectory(FolderOf(path));
}

Result<bool> RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return std::unexpected(SystemError("remove", path, errno));
}

bool Exists(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

Result<> MakeDirectories(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (!part.empty() && ::mkdir(part.c_str(), mode) == 0) {
      if (::chmod(part.c_str(), mode) != 0) return std::unexpected(SystemError("make folder", part, errno));
    } else if (!part.empty()) {
      const int number = errno;
      struct stat info{};
      if (::stat(part.c_str(), &info) != 0) return std::unexpected(SystemError("make folder", part, number));
      if (!S_ISDIR(info.st_mode)) return std::unexpected(SystemError("make folder", part, EEXIST));
    }
    if (end == std::string::npos) return {};
  }
}

Result<> RemoveTree(const std::string& path) {
  return RemoveAt(AT_FDCWD, path.c_str(), path);
}

Result<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return std::unexpected(SystemError("list", path, errno));
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

Result<DiskSpace> DiskSpaceOf(const std::string& path) {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return std::unexpected(SystemError("disk space of", path, errno));
  return DiskSpace{.total_bytes = std::uint64_t{info.f_blocks} * info.f_frsize,
                   .available_bytes = std::uint64_t{info.f_bavail} * info.f_frsize};
}

Result<TempDir> TempDir::Create(std::string_view prefix) {
  const char* base = std::getenv("TMPDIR");
  std::string path = (base != nullptr && *base != '\0' ? std::string(base) : "/tmp") + "/";
  path.append(prefix).append(".XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) return std::unexpected(SystemError("make folder", path, errno));
  return TempDir(std::move(path));
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TempDir::~TempDir() {
  if (!path_.empty()) static_cast<void>(RemoveTree(path_));
}

Result<LockFile> LockFile::TryAcquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return std::unexpected(SystemError("lock", path, errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    ::close(fd);
    if (number == EWOULDBLOCK) return Fail(Code::kFailedPrecondition, "lock '" + path + "': held by another process");
    return std::unexpected(SystemError("lock", path, number));
  }
  return LockFile(fd);
}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace multigres::fs
