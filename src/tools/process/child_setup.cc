#include "tools/process/child_setup.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "tools/process/find_program.h"

namespace multigres {

namespace {

Error SystemError(std::string_view what, int number) {
  const Code code = number == ENOENT                      ? Code::kNotFound
                    : number == EACCES || number == EPERM ? Code::kPermissionDenied
                    : number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE
                        ? Code::kResourceExhausted
                        : Code::kInternal;
  return Error(code, fmt::format("{}: {}", what, std::strerror(number)));
}

// Everything the child needs, made before the fork: after it only async-signal-safe calls are allowed.
struct Plan {
  std::string program;
  std::vector<std::string> argument_texts;
  std::vector<std::string> environment_texts;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::string working_directory;
  int input_fd = -1;
  int output_fd = -1;
  int error_fd = -1;
  int failure_fd = -1;
  bool new_session = false;
  bool new_process_group = false;
  bool set_groups = false;
  std::vector<gid_t> groups;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<mode_t> umask;
  int parent_death_signal = 0;
  pid_t parent = 0;
};

// Which step failed travels with errno through the failure pipe.
struct ChildFailure {
  int step;
  int number;
};
constexpr std::array<std::string_view, 8> kSteps = {"set up",        "setsid", "redirect", "change user",
                                                    "change folder", "exec",   "parent",   "limits"};

[[noreturn]] void FailInChild(const Plan& plan, int step) {
  const ChildFailure failure{.step = step, .number = errno};
  [[maybe_unused]] const auto written = ::write(plan.failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

[[noreturn]] void RunInChild(const Plan& plan) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.new_session && ::setsid() < 0) FailInChild(plan, 1);
  if (!plan.new_session && plan.new_process_group && ::setpgid(0, 0) != 0) FailInChild(plan, 1);
  if (::dup2(plan.input_fd, 0) < 0 || ::dup2(plan.output_fd, 1) < 0 || ::dup2(plan.error_fd, 2) < 0) {
    FailInChild(plan, 2);
  }
  // All sources are close-on-exec copies above 2; dup2 cleared the flag on 0 to 2.
  ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
  if (plan.set_groups && ::setgroups(plan.groups.size(), plan.groups.data()) != 0) FailInChild(plan, 3);
  if (plan.gid && ::setgid(*plan.gid) != 0) FailInChild(plan, 3);
  if (plan.uid && ::setuid(*plan.uid) != 0) FailInChild(plan, 3);
  if (plan.parent_death_signal != 0) {
    // After setuid(), which clears it.
    if (::prctl(PR_SET_PDEATHSIG, plan.parent_death_signal) != 0) FailInChild(plan, 6);
    if (::getppid() != plan.parent) ::_exit(127);
  }
  if (plan.umask) ::umask(*plan.umask);
  if (!plan.working_directory.empty() && ::chdir(plan.working_directory.c_str()) != 0) FailInChild(plan, 4);
  ::execve(plan.program.c_str(), plan.arguments.data(), plan.environment.data());
  FailInChild(plan, 5);
}

std::vector<std::string> Environment(const SpawnOptions& options) {
  std::map<std::string, std::string, std::less<>> variables;
  const auto set = [&](std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) {
      variables.erase(std::string(text));
    } else {
      variables.insert_or_assign(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
    }
  };
  if (options.inherit_environment) {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      if (std::strchr(*entry, '=') != nullptr) set(*entry);
    }
  }
  for (const std::string& text : options.environment) set(text);
  std::vector<std::string> result;
  result.reserve(variables.size());
  for (const auto& [name, value] : variables) result.emplace_back(name).append("=").append(value);
  return result;
}

// Descriptors 0 to 2 of our own may be closed: a copy above them can't be hit by the child's dup2.
Result<OwnedFd> Above2(int fd) {
  OwnedFd source(fd);
  if (fd < 0) return std::unexpected(SystemError("open", errno));
  OwnedFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) return std::unexpected(SystemError("dup", errno));
  return copy;
}

Result<OwnedFd> OpenInput(const std::optional<std::string>& input) {
  if (!input) return Above2(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  auto memory = Above2(::memfd_create("input", MFD_CLOEXEC));
  if (!memory) return memory;
  std::size_t written = 0;
  while (written < input->size()) {
    const ssize_t count = ::write(memory->get(), input->data() + written, input->size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::unexpected(SystemError("write input", errno));
    written += static_cast<std::size_t>(count);
  }
  ::lseek(memory->get(), 0, SEEK_SET);
  return memory;
}

// The child's end; `reader` becomes ours if it is captured.
Result<OwnedFd> OpenOutput(const OutputTo& to, int inherited, int standard_output, OwnedFd& reader) {
  switch (to.kind) {
    case OutputTo::Kind::kInherit:
      return Above2(::dup(inherited));
    case OutputTo::Kind::kNull:
      return Above2(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    case OutputTo::Kind::kSameAsStdout:
      return Above2(::dup(standard_output));
    case OutputTo::Kind::kFile: {
      const int fd = ::open(to.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
      if (fd < 0) return std::unexpected(SystemError("open " + to.path, errno));
      return Above2(fd);
    }
    case OutputTo::Kind::kCapture:
      break;
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::unexpected(SystemError("pipe", errno));
  reader = OwnedFd(ends[0]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return Above2(ends[1]);
}

void PlanUser(const SpawnOptions& options, Plan& plan) {
  plan.uid = options.run_as_uid;
  plan.gid = options.run_as_gid;
  if (!plan.uid) return;
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(*plan.uid, &entry, buffer.data(), buffer.size(), &found);
  if (!plan.gid && found != nullptr) plan.gid = entry.pw_gid;
  if (!plan.gid) plan.gid = static_cast<gid_t>(*plan.uid);
  plan.set_groups = true;
  if (found != nullptr) {
    int count = 64;
    plan.groups.resize(static_cast<std::size_t>(count));
    if (getgrouplist(entry.pw_name, entry.pw_gid, plan.groups.data(), &count) < 0) count = 0;
    plan.groups.resize(static_cast<std::size_t>(count));
  }
}

Result<ChildFailure> ReadFailure(int fd) {
  ChildFailure failure{};
  while (true) {
    const ssize_t got = ::read(fd, &failure, sizeof failure);
    if (got < 0 && errno == EINTR) continue;
    if (got == static_cast<ssize_t>(sizeof failure)) return failure;
    return Fail(Code::kNotFound, "none");
  }
}

}  // namespace

Result<StartedChild> StartChild(SpawnOptions options) {
  if (options.argv.empty()) return Fail(Code::kInvalidArgument, "no program to start");
  Plan plan;
  auto program = FindProgram(options.argv[0]);
  if (!program) return std::unexpected(std::move(program.error()));
  plan.program = std::move(*program);
  plan.argument_texts = std::move(options.argv);
  plan.environment_texts = Environment(options);
  for (std::string& text : plan.argument_texts) plan.arguments.push_back(text.data());
  for (std::string& text : plan.environment_texts) plan.environment.push_back(text.data());
  plan.arguments.push_back(nullptr);
  plan.environment.push_back(nullptr);
  plan.working_directory = options.working_directory;
  plan.new_session = options.new_session;
  plan.new_process_group = options.new_process_group;
  plan.umask = options.umask;
  plan.parent_death_signal = options.parent_death_signal;
  plan.parent = ::getpid();
  PlanUser(options, plan);

  StartedChild child;
  auto input = OpenInput(options.input);
  if (!input) return std::unexpected(std::move(input.error()));
  auto output = OpenOutput(options.standard_output, 1, 1, child.output_fd);
  if (!output) return std::unexpected(std::move(output.error()));
  auto error = OpenOutput(options.standard_error, 2, output->get(), child.error_fd);
  if (!error) return std::unexpected(std::move(error.error()));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::unexpected(SystemError("pipe", errno));
  OwnedFd failure_reader(ends[0]);
  auto failure_writer = Above2(ends[1]);
  if (!failure_writer) return std::unexpected(std::move(failure_writer.error()));
  plan.input_fd = input->get();
  plan.output_fd = output->get();
  plan.error_fd = error->get();
  plan.failure_fd = failure_writer->get();

  // No handler of ours may run in the child before it has reset them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  child.pid = ::fork();
  if (child.pid == 0) RunInChild(plan);
  const int fork_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child.pid < 0) return std::unexpected(SystemError("fork", fork_error));

  failure_writer->Close();
  if (auto failure = ReadFailure(failure_reader.get())) {
    ::waitpid(child.pid, nullptr, 0);
    return std::unexpected(SystemError(
        fmt::format("start {} ({})", plan.program, kSteps[static_cast<std::size_t>(failure->step)]), failure->number));
  }
  return child;
}

}  // namespace multigres
