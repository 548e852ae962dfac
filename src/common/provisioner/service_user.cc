#include "common/provisioner/service_user.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/fs/file.h"
#include "tools/process/process.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

std::optional<ServiceUser> FindUser() {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(std::string(kServiceUserName).c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return std::nullopt;
  return ServiceUser{.uid = found->pw_uid, .gid = found->pw_gid};
}

Result<> Own(const std::string& path, const std::optional<ServiceUser>& user) {
  if (!user || ::lchown(path.c_str(), user->uid, user->gid) == 0) return {};
  return Fail(Code::kPermissionDenied,
              fmt::format("cannot give {} to user {}: {}", path, kServiceUserName, std::strerror(errno)));
}

}  // namespace

Awaitable<Result<std::optional<ServiceUser>>> EnsureServiceUser(Reactor& reactor) {
  if (::geteuid() != 0) co_return std::optional<ServiceUser>();
  if (auto user = FindUser()) co_return user;
  SpawnOptions options;
  options.argv = {"useradd",          "--system",          "--user-group",
                  "--no-create-home", "--home-dir",        "/var/lib/multigres",
                  "--shell",          "/usr/sbin/nologin", std::string(kServiceUserName)};
  auto done = co_await RunProcess(reactor, std::move(options), reactor.clock().After(30s));
  const auto user = FindUser();
  if (user) co_return user;
  co_return Fail(Code::kFailedPrecondition,
                 fmt::format("cannot make the system user {} that the services run as (useradd: {}); make it by hand, "
                             "or run this as an ordinary user",
                             kServiceUserName, done ? done->error : done.error().message()));
}

Result<> MakeOwnedDirectory(const std::string& path, mode_t mode, const std::optional<ServiceUser>& user) {
  if (auto made = fs::MakeDirectories(path); !made) return made;
  // Never through a link: the folder above may belong to the services' user already, and we may be root.
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return Fail(Code::kPermissionDenied, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  const bool done = ::fchmod(fd, mode) == 0 && (!user || ::fchown(fd, user->uid, user->gid) == 0);
  const int reason = errno;
  ::close(fd);
  if (done) return {};
  return Fail(Code::kPermissionDenied, fmt::format("cannot set owner and mode of {}: {}", path, std::strerror(reason)));
}

Result<> WriteSecret(const std::string& path, const std::string& content, const std::optional<ServiceUser>& user) {
  if (auto written = fs::WriteFileAtomic(path, content, 0600); !written) return written;
  return Own(path, user);
}

Result<> CheckReachable(const std::string& path, const ServiceUser& user) {
  for (std::filesystem::path folder = path; folder.has_relative_path(); folder = folder.parent_path()) {
    struct stat info{};
    if (::stat(folder.c_str(), &info) != 0) continue;
    const mode_t needed = info.st_uid == user.uid ? S_IXUSR : info.st_gid == user.gid ? S_IXGRP : S_IXOTH;
    if ((info.st_mode & needed) != 0) continue;
    return Fail(Code::kFailedPrecondition,
                fmt::format("user {} cannot enter {}: choose another root-working-dir, or let others enter that folder",
                            kServiceUserName, folder.string()));
  }
  return {};
}

Result<std::map<std::string, std::string>> InstallPrograms(const std::map<std::string, std::string>& programs,
                                                           const std::string& directory) {
  std::map<std::string, std::string> installed;
  for (const auto& [name, source] : programs) {
    const std::string target = directory + "/" + name;
    installed[name] = target;
    if (target == source) continue;
    const std::string folder = std::filesystem::path(target).parent_path().string();
    if (auto made = fs::MakeDirectories(folder); !made) return std::unexpected(std::move(made.error()));
    auto content = fs::ReadFile(source);
    if (!content) return std::unexpected(std::move(content.error()));
    auto present = fs::ReadFile(target);
    if (present && *present == *content) continue;
    auto written = fs::WriteFileAtomic(target, *content, 0755);
    if (!written) return Fail(std::move(written), fmt::format("installing {}", name));
  }
  return installed;
}

}  // namespace multigres::provisioner
