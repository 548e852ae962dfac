// Child processes: starting them, waiting for them, ending them. Linux only (pidfd).
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/async/cancel_token.h"
#include "tools/async/reactor.h"
#include "tools/process/process_identity.h"
#include "tools/result/error.h"

namespace multigres {

// Where a child's stdout or stderr goes.
struct OutputTo {
  enum class Kind : std::uint8_t { kInherit, kNull, kCapture, kFile, kSameAsStdout };
  Kind kind = Kind::kCapture;
  std::string path;                         // kFile: appended to, created with mode 0600
  std::size_t capture_limit = 1024 * 1024;  // kCapture: bytes kept (the first ones); the rest is read and dropped

  static OutputTo Inherit() { return {.kind = Kind::kInherit}; }
  static OutputTo Null() { return {.kind = Kind::kNull}; }
  static OutputTo Capture() { return {}; }
  static OutputTo File(std::string path) { return {.kind = Kind::kFile, .path = std::move(path)}; }
  // For stderr alone: one stream for both.
  static OutputTo SameAsStdout() { return {.kind = Kind::kSameAsStdout}; }
};

struct SpawnOptions {
  // argv[0] is a path, or a name that is looked up in PATH.
  std::vector<std::string> argv;
  // Added to (or replacing, by name) what is inherited; "NAME=value". A bare "NAME" removes it.
  std::vector<std::string> environment;
  bool inherit_environment = true;
  std::string working_directory;     // empty = inherited
  std::optional<std::string> input;  // what the child reads from stdin; none = /dev/null
  OutputTo standard_output;
  OutputTo standard_error;
  bool new_session = false;        // setsid(): survives our terminal and is its own process group
  bool new_process_group = false;  // for SignalGroup()
  // Runs as this user (and its groups). Needs privilege.
  std::optional<uid_t> run_as_uid;
  std::optional<gid_t> run_as_gid;
  std::optional<mode_t> umask;
  // Delivered to the child when the spawning thread ends; 0 = none. Spawn from a thread that lives as long as the
  // process does.
  int parent_death_signal = 0;
  // What happens to a child that still runs when its Process object goes.
  bool kill_when_dropped = true;
};

struct ExitStatus {
  // An adopted process (not our child) tells only that it has ended: known = false.
  bool known = true;
  int exit_code = 0;  // meaningful if signal == 0
  int signal = 0;     // ended by this signal
  bool Succeeded() const { return known && signal == 0 && exit_code == 0; }
  // "exit code 1", "signal 9 (Killed)", "ended (exit status unknown)"
  std::string ToString() const;
};

// One process: a child, or one of others that was adopted. Lives on one reactor; signals go through a pidfd, so never
// to a stranger that got the pid later.
class Process {
 public:
  // INVALID_ARGUMENT, NOT_FOUND (no such program), PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL. An exec that fails
  // in the child is reported here. Descriptors above 2 are never inherited.
  static Result<Process> Spawn(Reactor& reactor, SpawnOptions options);
  // Attaches to a running process that somebody else started. NOT_FOUND if that very process has ended.
  static Result<Process> Adopt(Reactor& reactor, ProcessIdentity identity);

  Process(Process&&) noexcept = default;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const;
  const ProcessIdentity& identity() const;
  // Empty while it runs.
  const std::optional<ExitStatus>& exit_status() const;

  // Waits for its end. DEADLINE_EXCEEDED, or CANCELED by the token: the process then still runs. Several may wait.
  Awaitable<Result<ExitStatus>> Wait(Deadline deadline = {}, CancelToken* cancel = nullptr);
  // NOT_FOUND once it has ended.
  Result<> Signal(int signal);
  // Signals its whole process group (new_session or new_process_group).
  Result<> SignalGroup(int signal);
  // TERM, then KILL after `grace`, and waits for the end (bounded: 5 s after KILL, then DEADLINE_EXCEEDED).
  Awaitable<Result<ExitStatus>> Terminate(Duration grace, int first_signal = SIGTERM);

  // What was captured so far; all that the process itself wrote, once Wait() has returned its end.
  const std::string& captured_output() const;
  const std::string& captured_error() const;
  bool capture_truncated() const;

 private:
  struct State;
  explicit Process(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void Drop();

  std::shared_ptr<State> state_;
};

struct Completed {
  ExitStatus status;
  std::string output;
  std::string error;
};

// Spawns, waits for the end, and gives what was captured. At the deadline or on cancellation the process (its group, if
// it has one) is killed and joined, and the error is DEADLINE_EXCEEDED or CANCELED. A non-zero exit is not an error
// here.
Awaitable<Result<Completed>> RunProcess(Reactor& reactor, SpawnOptions options, Deadline deadline,
                                        CancelToken* cancel = nullptr);

}  // namespace multigres
