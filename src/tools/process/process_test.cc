#include "tools/process/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tools/async/task_group.h"
#include "tools/process/find_program.h"

namespace multigres {
namespace {

using namespace std::chrono_literals;

Deadline Soon(Reactor& reactor) {
  return reactor.clock().After(10s);
}

Result<Completed> RunToEnd(SpawnOptions options) {
  Reactor reactor;
  std::optional<Result<Completed>> result;
  RunOnReactor(reactor,
               [](Reactor& reactor, SpawnOptions options, std::optional<Result<Completed>>& result) -> Awaitable<void> {
                 result = co_await RunProcess(reactor, std::move(options), Soon(reactor));
               }(reactor, std::move(options), result));
  return std::move(*result);
}

TEST(Process, CapturesBothOutputsAndTheExitCode) {
  auto done = RunToEnd({.argv = {"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->output, "out\n");
  EXPECT_EQ(done->error, "err\n");
  EXPECT_EQ(done->status.exit_code, 3);
  EXPECT_FALSE(done->status.Succeeded());
}

TEST(Process, FeedsInputAndEnvironmentAndFolder) {
  auto done = RunToEnd({.argv = {"sh", "-c", "cat; echo $A-$B; pwd"},
                        .environment = {"A=1", "B=2", "A"},
                        .working_directory = "/",
                        .input = std::string("hello\n")});
  ASSERT_TRUE(done) << done.error().ToString();
  EXPECT_EQ(done->output, "hello\n-2\n/\n");
}

TEST(Process, CapsWhatItKeepsAndStillReadsAll) {
  SpawnOptions options{.argv = {"sh", "-c", "head -c 3000000 /dev/zero; exit 7"}};
  options.standard_output.capture_limit = 1000;
  auto done = RunToEnd(std::move(options));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->output.size(), 1000U);
  EXPECT_EQ(done->status.exit_code, 7);
}

TEST(Process, ReportsAProgramThatCannotRun) {
  auto missing = RunToEnd({.argv = {"no-such-program-anywhere"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  auto folder = RunToEnd({.argv = {"true"}, .working_directory = "/no/such/folder"});
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code(), Code::kNotFound);
}

TEST(Process, DeadlineKillsAndJoins) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    SpawnOptions options{.argv = {"sleep", "1000"}};
    auto done = co_await RunProcess(reactor, std::move(options), reactor.clock().After(20ms));
    EXPECT_FALSE(done);
    if (!done) EXPECT_EQ(done.error().code(), Code::kDeadlineExceeded);
  }(reactor));
}

TEST(Process, CancelTokenEndsTheWait) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    CancelToken cancel;
    auto timer = reactor.clock().Schedule(10ms, [&cancel] { cancel.Cancel(CancelReason::kCancelled); });
    SpawnOptions options{.argv = {"sleep", "1000"}};
    auto done = co_await RunProcess(reactor, std::move(options), Soon(reactor), &cancel);
    EXPECT_FALSE(done);
    if (!done) EXPECT_EQ(done.error().code(), Code::kCanceled);
  }(reactor));
}

TEST(Process, TerminateEscalatesToKill) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    SpawnOptions options{.argv = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"}};
    options.new_process_group = true;
    auto process = Process::Spawn(reactor, std::move(options));
    EXPECT_TRUE(process);
    if (!process) co_return;
    while (process->captured_output().empty()) co_await SleepFor(reactor.clock(), 2ms);
    auto ended = co_await process->Terminate(30ms);
    EXPECT_TRUE(ended);
    if (ended) EXPECT_EQ(ended->signal, SIGKILL);
  }(reactor));
}

TEST(Process, DoesNotWaitForWhoeverInheritedThePipe) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    SpawnOptions options{.argv = {"sh", "-c", "sleep 30 & echo $!"}};
    auto done = co_await RunProcess(reactor, std::move(options), Soon(reactor));
    EXPECT_TRUE(done);
    if (done) ::kill(static_cast<pid_t>(std::stol(done->output)), SIGKILL);
  }(reactor));
}

TEST(Process, AdoptsARunningProcessAndSeesItsEnd) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    auto child = Process::Spawn(reactor, {.argv = {"sleep", "1000"}});
    EXPECT_TRUE(child);
    if (!child) co_return;
    EXPECT_TRUE(IsRunning(child->identity()));
    auto adopted = Process::Adopt(reactor, child->identity());
    EXPECT_TRUE(adopted);
    if (!adopted) co_return;
    EXPECT_TRUE(adopted->Signal(SIGKILL));
    auto ended = co_await adopted->Wait(Soon(reactor));
    EXPECT_TRUE(ended);
    if (ended) EXPECT_FALSE(ended->known);
    (void)co_await child->Wait(Soon(reactor));
    EXPECT_FALSE(IsRunning(child->identity()));
    EXPECT_FALSE(Process::Adopt(reactor, child->identity()));
  }(reactor));
}

TEST(Process, AnotherStartTimeIsAnotherProcess) {
  auto self = IdentifyProcess(::getpid());
  ASSERT_TRUE(self);
  EXPECT_TRUE(IsRunning(*self));
  ProcessIdentity other = *self;
  other.started += "1";
  EXPECT_FALSE(IsRunning(other));
}

TEST(Process, DroppingKillsTheChildUnlessToldToLeaveIt) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    ProcessIdentity killed;
    {
      auto child = Process::Spawn(reactor, {.argv = {"sleep", "1000"}});
      killed = child->identity();
    }
    const Deadline deadline = Soon(reactor);
    while (IsRunning(killed) && !deadline.Passed(reactor.clock().Now())) co_await SleepFor(reactor.clock(), 1ms);
    EXPECT_FALSE(IsRunning(killed));
    ProcessIdentity left;
    {
      SpawnOptions options{.argv = {"sleep", "1000"}};
      options.new_session = true;
      options.kill_when_dropped = false;
      auto child = Process::Spawn(reactor, std::move(options));
      left = child->identity();
    }
    EXPECT_TRUE(IsRunning(left));
    auto again = Process::Adopt(reactor, left);
    EXPECT_TRUE(again);
    if (again) (void)co_await again->Terminate(5s);
  }(reactor));
}

TEST(Process, RunsAsAnotherUserWhenPrivileged) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  auto done = RunToEnd({.argv = {"sh", "-c", "id -u; id -g"}, .run_as_uid = 65534, .run_as_gid = 65534});
  ASSERT_TRUE(done) << done.error().ToString();
  EXPECT_EQ(done->output, "65534\n65534\n");
}

TEST(Process, AppendsToAFile) {
  const auto path = std::filesystem::temp_directory_path() / ("process_test." + std::to_string(::getpid()));
  for (int i = 0; i < 2; ++i) {
    auto done = RunToEnd({.argv = {"sh", "-c", "echo a; echo b >&2"},
                          .standard_output = OutputTo::File(path),
                          .standard_error = OutputTo::SameAsStdout()});
    ASSERT_TRUE(done) << done.error().ToString();
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "a\nb\na\nb\n");
  std::filesystem::remove(path);
}

TEST(FindProgram, LooksInTheGivenFoldersFirst) {
  auto found = FindProgram("sh", {"/bin"});
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, "/bin/sh");
  EXPECT_FALSE(FindProgram("no-such-program-anywhere"));
  EXPECT_FALSE(FindPostgresBinDir("/no/such/folder"));
}

}  // namespace
}  // namespace multigres
