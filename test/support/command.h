// Running a program from a test, as another user if need be.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "tools/result/error.h"

namespace multigres::test {

struct Command {
  std::vector<std::string> argv;         // argv[0] is a path
  std::vector<std::string> environment;  // "NAME=value", instead of what is there
  std::string working_directory = "/";
  std::optional<std::pair<uid_t, gid_t>> user;
  std::string output_path;      // stdout and stderr are appended to it; empty = /dev/null
  int input_fd = -1;            // stdin; -1 = /dev/null
  int parent_death_signal = 0;  // sent when our thread ends
  bool new_session = false;
};

// Forks and executes. INTERNAL if the fork fails; a program that can't be executed ends with status 127.
Result<pid_t> StartCommand(const Command& command);
// The same, and waits. An exit status other than 0 is INTERNAL.
Result<> RunCommand(const Command& command);

}  // namespace multigres::test
