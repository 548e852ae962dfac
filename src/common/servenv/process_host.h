// The process as the operating system sees it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tools/result/error.h"

namespace multigres::servenv {

// FAILED_PRECONDITION `running as root is not permitted`.
Result<> RefuseRoot();

// The fully qualified name of this machine, else its bare name. May ask the resolver.
std::string LocalHostname();

// "<pid>\n" in a file that didn't exist before; removed by the destructor if it is still ours.
class PidFile {
 public:
  // ALREADY_EXISTS, PERMISSION_DENIED, ...
  static Result<PidFile> Create(std::string path);
  PidFile(PidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PidFile& operator=(PidFile&& other) noexcept;
  ~PidFile();

 private:
  explicit PidFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// What a test that may die without cleaning up asks for: MULTIGRES_TEST_PARENT_PID and MULTIGRES_TESTDATA_DIR.
class TestParent {
 public:
  static std::optional<TestParent> FromEnvironment(const std::function<const char*(const char*)>& environment);
  // The process is dead, or the folder gone.
  bool IsGone() const;

 private:
  int pid_ = 0;
  std::string folder_;
};

}  // namespace multigres::servenv
