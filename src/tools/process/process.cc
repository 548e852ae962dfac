#include "tools/process/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstring>

#include "tools/process/child_setup.h"
#include "tools/result/check.h"

namespace multigres {

namespace {

using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

Error SystemError(std::string_view what, int number) {
  const Code code = number == ENOENT                      ? Code::kNotFound
                    : number == EACCES || number == EPERM ? Code::kPermissionDenied
                    : number == EAGAIN || number == ENOMEM || number == EMFILE || number == ENFILE
                        ? Code::kResourceExhausted
                        : Code::kInternal;
  return Error(code, fmt::format("{}: {}", what, std::strerror(number)));
}

int OpenPidFd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

// The reading end of a child's output.
struct Capture {
  explicit Capture(const Executor& executor) : pipe(executor) {}
  Descriptor pipe;
  std::string text;
  std::size_t limit = 0;
  bool truncated = false;

  // Takes what is there (up to a pipe's capacity, for the sake of the reactor's turn); false at the end.
  bool Drain() {
    std::array<char, 16384> buffer;
    for (int turn = 0; turn < 64; ++turn) {
      const ssize_t got = ::read(pipe.native_handle(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN;
      if (got == 0) return false;
      const std::size_t keep = std::min(static_cast<std::size_t>(got), limit - text.size());
      text.append(buffer.data(), keep);
      if (keep < static_cast<std::size_t>(got)) truncated = true;
    }
    return true;
  }
};

}  // namespace

std::string ExitStatus::ToString() const {
  if (!known) return "ended (exit status unknown)";
  if (signal != 0) return fmt::format("signal {} ({})", signal, strsignal(signal));
  return fmt::format("exit code {}", exit_code);
}

// Shared with the pending waits on its descriptors, so that a dropped child is still reaped.
struct Process::State : std::enable_shared_from_this<Process::State> {
  explicit State(Reactor& reactor) : reactor(reactor), pidfd(reactor.executor()) {}

  Reactor& reactor;
  ProcessIdentity identity;
  bool is_child = false;
  bool has_group = false;
  bool kill_when_dropped = false;
  Descriptor pidfd;
  std::unique_ptr<Capture> output;
  std::unique_ptr<Capture> error;
  std::optional<ExitStatus> exit_status;
  Event exited;

  void Watch() {
    pidfd.async_wait(asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this()](boost::system::error_code failure) {
                       if (!failure) self->Reap();
                     });
  }

  void WatchOutput(Capture& capture) {
    capture.pipe.async_wait(asio::posix::descriptor_base::wait_read,
                            [self = shared_from_this(), &capture](boost::system::error_code failure) {
                              if (failure || !capture.pipe.is_open()) return;
                              if (capture.Drain()) {
                                self->WatchOutput(capture);
                              } else {
                                capture.pipe.close();
                              }
                            });
  }

  void Reap() {
    pollfd poll_entry{.fd = pidfd.native_handle(), .events = POLLIN, .revents = 0};
    if (::poll(&poll_entry, 1, 0) != 1) return Watch();  // woken without a reason
    ExitStatus status{.known = false};
    if (is_child) {
      siginfo_t info{};
      const int waited = waitid(P_PID, static_cast<id_t>(identity.pid), &info, WEXITED | WNOHANG);
      if (waited == 0 && info.si_pid == 0) return Watch();  // woken too early
      if (waited == 0) {
        const bool exited_itself = info.si_code == CLD_EXITED;
        status = {.known = true,
                  .exit_code = exited_itself ? info.si_status : 0,
                  .signal = exited_itself ? 0 : info.si_status};
      }
    }
    // What the process wrote is in the pipes by now; whoever inherited them may keep them open, which is not waited
    // for.
    for (Capture* capture : {output.get(), error.get()}) {
      if (capture == nullptr || !capture->pipe.is_open()) continue;
      capture->Drain();
      capture->pipe.close();
    }
    exit_status = status;
    exited.Set();
  }
};

Result<Process> Process::Spawn(Reactor& reactor, SpawnOptions options) {
  const bool has_group = options.new_session || options.new_process_group;
  const bool kill_when_dropped = options.kill_when_dropped;
  const std::size_t output_limit = options.standard_output.capture_limit;
  const std::size_t error_limit = options.standard_error.capture_limit;
  auto child = StartChild(std::move(options));
  if (!child) return std::unexpected(std::move(child.error()));

  auto state = std::make_shared<State>(reactor);
  const int pidfd = OpenPidFd(child->pid);
  if (pidfd < 0) {
    const int number = errno;
    ::kill(child->pid, SIGKILL);
    ::waitpid(child->pid, nullptr, 0);
    return std::unexpected(SystemError("pidfd_open", number));
  }
  state->pidfd.assign(pidfd);
  auto identity = IdentifyProcess(child->pid);  // not reaped yet, so it is there
  state->identity = identity ? std::move(*identity) : ProcessIdentity{.pid = child->pid, .started = {}};
  state->is_child = true;
  state->has_group = has_group;
  state->kill_when_dropped = kill_when_dropped;
  state->Watch();
  const auto watch = [&](int fd, std::size_t limit) -> std::unique_ptr<Capture> {
    if (fd < 0) return nullptr;
    auto capture = std::make_unique<Capture>(reactor.executor());
    capture->limit = limit;
    capture->pipe.assign(fd);
    return capture;
  };
  state->output = watch(child->output_fd.Release(), output_limit);
  state->error = watch(child->error_fd.Release(), error_limit);
  if (state->output) state->WatchOutput(*state->output);
  if (state->error) state->WatchOutput(*state->error);
  return Process(std::move(state));
}

Result<Process> Process::Adopt(Reactor& reactor, ProcessIdentity identity) {
  const int pidfd = OpenPidFd(identity.pid);
  if (pidfd < 0)
    return std::unexpected(SystemError(fmt::format("process {}", identity.pid), errno == ESRCH ? ENOENT : errno));
  auto state = std::make_shared<State>(reactor);
  state->pidfd.assign(pidfd);
  // The descriptor pins whatever has the pid now: only then is the comparison worth something.
  if (!IsRunning(identity)) return Fail(Code::kNotFound, fmt::format("process {} has ended", identity.pid));
  state->has_group = getpgid(identity.pid) == identity.pid;
  state->identity = std::move(identity);
  state->Watch();
  return Process(std::move(state));
}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    Drop();
    state_ = std::move(other.state_);
  }
  return *this;
}

Process::~Process() {
  Drop();
}

void Process::Drop() {
  if (!state_ || state_->exit_status || !state_->kill_when_dropped) return;
  if (state_->has_group) ::kill(-state_->identity.pid, SIGKILL);
  (void)Signal(SIGKILL);
}

pid_t Process::pid() const {
  return state_->identity.pid;
}

const ProcessIdentity& Process::identity() const {
  return state_->identity;
}

const std::optional<ExitStatus>& Process::exit_status() const {
  return state_->exit_status;
}

Awaitable<Result<ExitStatus>> Process::Wait(Deadline deadline, CancelToken* cancel) {
  auto state = state_;
  CancelToken::Subscription subscription;
  if (cancel != nullptr) subscription = cancel->OnCancel([state](CancelReason) { state->exited.Pulse(); });
  while (!state->exit_status) {
    if (cancel != nullptr && cancel->IsCancelled()) co_return Fail(Code::kCanceled, "wait for a process was cancelled");
    const bool woken = co_await state->exited.WaitUntil(state->reactor.clock(), deadline);
    if (!woken && !state->exit_status) {
      co_return Fail(Code::kDeadlineExceeded, fmt::format("process {} still runs", state->identity.pid));
    }
  }
  co_return *state->exit_status;
}

Result<> Process::Signal(int signal) {
  if (state_->exit_status) return Fail(Code::kNotFound, fmt::format("process {} has ended", pid()));
  if (syscall(SYS_pidfd_send_signal, state_->pidfd.native_handle(), signal, nullptr, 0) != 0) {
    return std::unexpected(SystemError(fmt::format("signal process {}", pid()), errno == ESRCH ? ENOENT : errno));
  }
  return {};
}

Result<> Process::SignalGroup(int signal) {
  if (!state_->has_group) return Fail(Code::kFailedPrecondition, "the process has no group of its own");
  // A group's id stays taken while any member lives, and ours is unreaped until exit_status is set.
  if (::kill(-pid(), signal) != 0) {
    return std::unexpected(SystemError(fmt::format("signal process group {}", pid()), errno == ESRCH ? ENOENT : errno));
  }
  return {};
}

Awaitable<Result<ExitStatus>> Process::Terminate(Duration grace, int first_signal) {
  constexpr auto kAfterKill = std::chrono::seconds(5);
  auto state = state_;
  if (!state->exit_status) {
    (void)Signal(first_signal);
    auto ended = co_await Wait(state->reactor.clock().After(grace));
    if (ended) co_return ended;
    if (state->has_group) (void)SignalGroup(SIGKILL);
    (void)Signal(SIGKILL);
  }
  co_return co_await Wait(state->reactor.clock().After(kAfterKill));
}

const std::string& Process::captured_output() const {
  static const std::string kNone;
  return state_->output ? state_->output->text : kNone;
}

const std::string& Process::captured_error() const {
  static const std::string kNone;
  return state_->error ? state_->error->text : kNone;
}

bool Process::capture_truncated() const {
  return (state_->output && state_->output->truncated) || (state_->error && state_->error->truncated);
}

Awaitable<Result<Completed>> RunProcess(Reactor& reactor, SpawnOptions options, Deadline deadline,
                                        CancelToken* cancel) {
  const std::string name = options.argv.empty() ? std::string() : options.argv[0];
  auto process = Process::Spawn(reactor, std::move(options));
  if (!process) co_return std::unexpected(std::move(process.error()));
  auto ended = co_await process->Wait(deadline, cancel);
  if (!ended) {
    (void)co_await process->Terminate(Duration::zero(), SIGKILL);
    co_return std::unexpected(std::move(ended.error()).With(name));
  }
  co_return Completed{.status = *ended, .output = process->captured_output(), .error = process->captured_error()};
}

}  // namespace multigres
