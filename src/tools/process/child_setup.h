// The fork: from SpawnOptions to a running child. Internal to tools/process.
#pragma once

#include <unistd.h>

#include <utility>

#include "tools/process/process.h"

namespace multigres {

// A file descriptor that closes itself.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~OwnedFd() { Close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct StartedChild {
  pid_t pid = 0;
  OwnedFd output_fd;  // reading end, non-blocking; unset unless captured
  OwnedFd error_fd;
};

// Returns once the child has executed its program, or failed to.
Result<StartedChild> StartChild(SpawnOptions options);

}  // namespace multigres
