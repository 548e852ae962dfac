#include "common/servenv/process_host.h"

#include <netdb.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "tools/fs/file.h"

namespace multigres::servenv {

Result<> RefuseRoot() {
  if (::geteuid() != 0) return {};
  return Fail(Code::kFailedPrecondition, "running as root is not permitted");
}

std::string LocalHostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  addrinfo hints{};
  hints.ai_flags = AI_CANONNAME;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string full;
  if (::getaddrinfo(name.data(), nullptr, &hints, &found) == 0) {
    if (found->ai_canonname != nullptr) full = found->ai_canonname;
    ::freeaddrinfo(found);
  }
  // A canonical name without a dot is no better than our own.
  return full.find('.') != std::string::npos && full != "localhost.localdomain" ? full : std::string(name.data());
}

Result<PidFile> PidFile::Create(std::string path) {
  auto created = fs::CreateExclusive(path, std::to_string(::getpid()) + "\n");
  if (!created) return std::unexpected(std::move(created.error()));
  return PidFile(std::move(path));
}

PidFile& PidFile::operator=(PidFile&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

PidFile::~PidFile() {
  if (path_.empty()) return;
  auto content = fs::ReadFile(path_);
  if (content && *content == std::to_string(::getpid()) + "\n") static_cast<void>(fs::RemoveFile(path_));
}

std::optional<TestParent> TestParent::FromEnvironment(const std::function<const char*(const char*)>& environment) {
  TestParent parent;
  const char* pid = environment("MULTIGRES_TEST_PARENT_PID");
  const char* folder = environment("MULTIGRES_TESTDATA_DIR");
  if (pid != nullptr) parent.pid_ = std::atoi(pid);
  if (folder != nullptr) parent.folder_ = folder;
  if (parent.pid_ <= 0 && parent.folder_.empty()) return std::nullopt;
  return parent;
}

bool TestParent::IsGone() const {
  // EPERM: it lives, as another user.
  if (pid_ > 0 && ::kill(pid_, 0) != 0 && errno == ESRCH) return true;
  return !folder_.empty() && !fs::Exists(folder_);
}

}  // namespace multigres::servenv
