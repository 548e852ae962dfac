#include "test/support/command.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace multigres::test {

namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const auto& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// The inherited environment without what would point PostgreSQL's programs elsewhere, overlaid by the command's.
std::vector<std::string> EnvironmentOf(const Command& command) {
  std::vector<std::string> environment = command.environment;
  const auto name_of = [](const std::string& entry) { return entry.substr(0, entry.find('=')); };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const bool replaced = std::ranges::any_of(
        command.environment, [&](const std::string& other) { return name_of(other) == name_of(text); });
    if (!replaced && !text.starts_with("PG") && !text.starts_with("LC_")) environment.push_back(text);
  }
  return environment;
}

int OpenOr(const std::string& path, int flags) {
  return ::open(path.empty() ? "/dev/null" : path.c_str(), flags | O_CLOEXEC, 0644);
}

}  // namespace

Result<pid_t> StartCommand(const Command& command) {
  const auto environment = EnvironmentOf(command);
  auto argv = Pointers(command.argv);
  auto envp = Pointers(environment);
  const int input = command.input_fd >= 0 ? command.input_fd : OpenOr("", O_RDONLY);
  const int output = OpenOr(command.output_path, O_WRONLY | O_CREAT | O_APPEND);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Async-signal-safe calls only.
    if (command.new_session) ::setsid();
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    ::close_range(3, ~0U, 0);
    if (command.user) {
      const gid_t group = command.user->second;
      if (::setgroups(1, &group) != 0 || ::setgid(group) != 0 || ::setuid(command.user->first) != 0) ::_exit(126);
    }
    if (command.parent_death_signal != 0) {
      // Behind setuid(), which clears it.
      ::prctl(PR_SET_PDEATHSIG, command.parent_death_signal);
      if (::getppid() != parent) ::_exit(126);
    }
    if (::chdir(command.working_directory.c_str()) != 0) ::_exit(126);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  if (command.input_fd < 0) ::close(input);
  ::close(output);
  if (pid < 0) return Fail(Code::kInternal, "fork failed");
  return pid;
}

Result<> RunCommand(const Command& command) {
  auto pid = StartCommand(command);
  if (!pid) return std::unexpected(std::move(pid.error()));
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Fail(Code::kInternal, command.argv[0] + " failed with wait status " + std::to_string(status));
}

}  // namespace multigres::test
