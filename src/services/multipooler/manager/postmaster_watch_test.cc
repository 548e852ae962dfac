#include "services/multipooler/manager/postmaster_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tools/fs/file.h"

namespace multigres::pooler::manager {
namespace {

using namespace std::chrono_literals;
using Sight = PostmasterWatch::Sight;

// A data directory, and processes that look like its postmaster from outside.
class DataDir {
 public:
  explicit DataDir(Reactor& reactor) : reactor_(reactor) {
    std::filesystem::copy_file("/bin/sleep", folder_.path() + "/postgres");
    std::filesystem::create_directory(path());
  }
  std::string path() const { return folder_.path() + "/data"; }
  Result<Process> Start() {
    SpawnOptions spawn;
    spawn.argv = {folder_.path() + "/postgres", "1000"};
    spawn.working_directory = path();
    auto process = Process::Spawn(reactor_, std::move(spawn));
    if (process) WritePid(process->pid());
    return process;
  }
  void WritePid(pid_t pid) {
    EXPECT_TRUE(fs::WriteFileAtomic(path() + "/postmaster.pid", std::to_string(pid) + "\n" + path() + "\n"));
  }
  void RemovePid() { EXPECT_TRUE(fs::RemoveFile(path() + "/postmaster.pid")); }

 private:
  Reactor& reactor_;
  fs::TempDir folder_ = *fs::TempDir::Create("watch");
};

TEST(PostmasterWatch, SeesAServerAndNoticesItsEndAtOnce) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    DataDir data(reactor);
    PostmasterWatch watch(reactor, data.path());
    EXPECT_EQ(watch.Look(), Sight::kGone) << "there is no file";
    auto postmaster = data.Start();
    EXPECT_TRUE(postmaster);
    if (!postmaster) co_return;
    EXPECT_EQ(watch.Look(), Sight::kRuns);
    EXPECT_TRUE(postmaster->Signal(SIGKILL));
    const TimePoint killed = reactor.clock().Now();
    co_await watch.WaitForEnd();
    EXPECT_LT(reactor.clock().Now() - killed, 1s);
    // The file of a killed one stays.
    EXPECT_EQ(watch.Look(), Sight::kGone);
    co_await watch.WaitForEnd();  // nothing is watched

    auto next = data.Start();
    EXPECT_TRUE(next);
    EXPECT_EQ(watch.Look(), Sight::kRuns);
    (void)co_await next->Terminate(0s, SIGKILL);
  }(reactor));
}

TEST(PostmasterWatch, GoesOnWatchingAServerWhosePidFileWasRemoved) {
  Reactor reactor;
  DataDir data(reactor);
  PostmasterWatch watch(reactor, data.path());
  auto postmaster = data.Start();
  ASSERT_TRUE(postmaster);
  EXPECT_EQ(watch.Look(), Sight::kRuns);
  data.RemovePid();
  EXPECT_EQ(watch.Look(), Sight::kRuns);
}

TEST(PostmasterWatch, TakesAnUnseenServerForGoneOnlyWhereItHasSeenOneBefore) {
  Reactor reactor;
  RunOnReactor(reactor, [](Reactor& reactor) -> Awaitable<void> {
    DataDir data(reactor);
    // Of another host, or another space of process ids: here the pid is somebody else's.
    data.WritePid(::getpid());
    PostmasterWatch watch(reactor, data.path());
    EXPECT_EQ(watch.Look(), Sight::kUnknown);
    auto postmaster = data.Start();
    EXPECT_EQ(watch.Look(), Sight::kRuns);
    (void)co_await postmaster->Terminate(0s, SIGKILL);
    co_await watch.WaitForEnd();
    data.WritePid(::getpid());
    EXPECT_EQ(watch.Look(), Sight::kGone);
  }(reactor));
}

}  // namespace
}  // namespace multigres::pooler::manager
