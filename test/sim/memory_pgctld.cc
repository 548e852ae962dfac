#include "test/sim/memory_pgctld.h"

#include "common/consensus/safety.h"

namespace multigres::sim {

using ::multigres::consensus::Enforced;
using ::multigres::consensus::SafetyRule;
using pooler::replication::ProcessStatus;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kPoll = milliseconds(5);
constexpr Duration kStart = seconds(20);
constexpr Duration kImmediate = seconds(5);
constexpr Duration kBusy = seconds(60);

}  // namespace

MemoryPgctld::MemoryPgctld(PostgresWorld& world, MemoryPostgres& postgres, Executor executor)
    : world_(world), postgres_(postgres), tasks_(executor), end_(executor) {}

void MemoryPgctld::End() {
  end_.Spawn("end", tasks_.CancelAndJoin());
}

ProcessStatus MemoryPgctld::Status() const {
  return {.initialized = postgres_.disk().initialized,
          .process_alive = postgres_.running(),
          .ready = postgres_.Accepting() && !postgres_.frozen(),
          .stopping = postgres_.stopping()};
}

Awaitable<void> MemoryPgctld::Take(int least_ms, int most_ms) {
  co_await SleepFor(world_.clock, milliseconds(world_.random.Between(least_ms, most_ms)));
}

Awaitable<Result<>> MemoryPgctld::WaitUntilAccepting() {
  const Deadline deadline = world_.clock.After(kStart);
  while (!postgres_.Accepting()) {
    if (!postgres_.running()) co_return Fail(Code::kUnavailable, "postgres ended while it started");
    // Still recovering is started all the same.
    if (deadline.Passed(world_.clock.Now())) co_return Result<>();
    co_await SleepFor(world_.clock, kPoll);
  }
  co_return Result<>();
}

Awaitable<Result<>> MemoryPgctld::Start(bool as_primary, bool suspected_divergence) {
  auto lock = co_await mutex_.Lock(world_.clock, world_.clock.After(kBusy), "start");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (!postgres_.disk().initialized) co_return Fail(Code::kFailedPrecondition, "no data directory");
  if (postgres_.running()) co_return Result<>();
  co_await Take(5, 40);
  const bool was_primary = !postgres_.disk().crashed_in_recovery;
  if (!as_primary && suspected_divergence && postgres_.disk().standby_signal && was_primary) {
    postgres_.CloseAfterCrash();
  }
  if (!as_primary && !Enforced(SafetyRule::kCrashedPrimaryStartsAsStandby)) {
    as_primary = !postgres_.disk().standby_signal && !postgres_.disk().clean;
  }
  postgres_.Start(as_primary);
  co_return co_await WaitUntilAccepting();
}

Awaitable<Result<>> MemoryPgctld::Stop(Duration fast_timeout) {
  auto lock = co_await mutex_.Lock(world_.clock, world_.clock.After(kBusy), "stop");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (!postgres_.running()) co_return Result<>();
  const std::uint64_t incarnation = postgres_.incarnation();
  if (!postgres_.frozen()) postgres_.BeginStop();
  const Deadline fast = world_.clock.After(fast_timeout);
  while (postgres_.running() && !fast.Passed(world_.clock.Now())) co_await SleepFor(world_.clock, kPoll);
  if (!postgres_.running() || postgres_.incarnation() != incarnation) co_return Result<>();
  if (postgres_.frozen()) {
    co_await SleepFor(world_.clock, kImmediate);
    if (postgres_.frozen()) co_return Fail(Code::kDeadlineExceeded, "postgres didn't stop");
  }
  postgres_.Kill();
  co_return Result<>();
}

Awaitable<Result<>> MemoryPgctld::InitDataDir() {
  auto lock = co_await mutex_.Lock(world_.clock, world_.clock.After(kBusy), "init");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (postgres_.disk().initialized) co_return Result<>();
  co_await Take(100, 800);
  postgres_.Initialize(std::to_string(7000 + world_.ledger.size()));
  co_return Result<>();
}

Awaitable<Result<std::string>> MemoryPgctld::Rewind(Source source, bool dry_run) {
  auto lock = co_await mutex_.Lock(world_.clock, world_.clock.After(kBusy), "rewind");
  if (!lock) co_return std::unexpected(std::move(lock.error()));
  if (postgres_.running()) co_return Fail(Code::kFailedPrecondition, "postgres runs");
  MemoryPostgres::Disk& disk = postgres_.disk();
  if (!disk.half_rewound) postgres_.CloseAfterCrash();
  co_await Take(20, 100);
  auto at = world_.servers.find(source.host);
  const auto reachable = [&] {
    return at != world_.servers.end() && at->second->Accepting() && !at->second->frozen() &&
           world_.network.PassesBoth(postgres_.host(), at->second->host());
  };
  if (!reachable()) co_return Fail(Code::kUnavailable, "pg_rewind: could not connect to the source");
  MemoryPostgres& from = *at->second;
  const Divergence found =
      Compare(postgres_.wal(), disk.checkpoint_timeline, from.wal(), from.disk().checkpoint_timeline);
  if (found.same_timeline && !disk.half_rewound)
    co_return "source and target cluster are on the same timeline\nno rewind required";
  if (found.common == 0 && !disk.half_rewound) co_return Fail(Code::kInternal, "pg_rewind: no common ancestor");
  const std::string diverged = fmt::format("servers diverged at WAL location {}", found.common);
  if (!found.rewind_needed && !disk.half_rewound) co_return diverged + "\nno rewind required";
  if (dry_run) co_return diverged;
  world_.trace.Note("{} is rewound to {} from {}, common {}", postgres_.name(), source.host, postgres_.wal().size(),
                    found.common);
  if (!postgres_.host_up()) co_return Fail(Code::kUnavailable, "the host is down");
  disk.half_rewound = true;
  co_await Take(100, 900);
  if (!reachable()) co_return Fail(Code::kUnavailable, "pg_rewind: the source went away");
  postgres_.RewindTo(from);
  co_return diverged + "\nDone!";
}

}  // namespace multigres::sim
