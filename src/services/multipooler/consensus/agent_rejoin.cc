// The way back of a member whose WAL may have left the shard's history (ha.md, section 8.3).
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/safety.h"
#include "services/multipooler/consensus/agent.h"
#include "services/multipooler/replication/standby_control.h"

namespace multigres::pooler::consensus {

using multigres::consensus::MemberText;
using multigres::consensus::SameMember;
using std::chrono::seconds;

namespace {

constexpr Duration kAtRest = seconds(40);
// What pg_rewind prints: the first whenever the timelines differ, the second if nothing of the target's lies beyond.
constexpr std::string_view kDiverged = "servers diverged at";
constexpr std::string_view kNothingBeyond = "no rewind required";

bool MustRewind(const std::string& dry_run) {
  return dry_run.find(kDiverged) != std::string::npos && dry_run.find(kNothingBeyond) == std::string::npos;
}

}  // namespace

bool Agent::RewindWasInterrupted() const {
  return disk_.Exists(RewindSentinel(options_.pooler_dir));
}

bool Agent::CanRejoin() const {
  if (!state_.recorded_primary) return false;
  const bool waits = multigres::consensus::Enforced(multigres::consensus::SafetyRule::kRewindReady);
  if (waits && !state_.recorded_primary->rewind_ready()) return false;
  const auto& primary = *state_.recorded_primary;
  return !SameMember(primary.primary().id(), state_.self) &&
         !multigres::consensus::IsRuleRevoked(primary.position(), promises_.revocation());
}

Awaitable<Result<>> Agent::Rejoin(Deadline deadline) {
  if (!CanRejoin()) co_return Fail(Code::kFailedPrecondition, "no leader is known that could be rejoined");
  logger_.Info("rejoining", {{"leader", MemberText(state_.recorded_primary->primary().id())}});
  auto observed = co_await Observe(deadline);
  if (observed && state_.server->in_recovery) {
    // A rule that was received and not replayed would be missing from the floor.
    auto stopped = co_await replication::StopParticipation(server_, process_, deadline.Earlier(clock().After(kAtRest)));
    if (!stopped) co_return Fail(std::move(stopped), "standby not at rest before its rewind");
    observed = co_await Observe(deadline);
  }
  // What this member may have acknowledged it must hold again before it votes. A floor only ever rises.
  auto floor =
      promises_.StoreRecruitFloor(multigres::consensus::RaiseFloor(state_.position, promises_.recruit_floor()));
  if (!floor) co_return Fail(std::move(floor), "recruit floor");
  co_return co_await RewindAndRestart(deadline);
}

Awaitable<Result<>> Agent::RewindAndRestart(Deadline deadline) {
  const auto& primary = state_.recorded_primary->primary();
  server_.Disconnect();
  auto stopped = co_await process_.Stop(seconds(10));
  state_.server.reset();
  // Before pg_rewind a server that crashed is started once.
  if (stopped) stopped = data_.RemoveTimelineLeftovers();
  if (!stopped) co_return Fail(std::move(stopped), "rewind");
  replication::PostgresProcess::RewindSource source;
  source.host = primary.host();
  source.port = static_cast<std::uint16_t>(primary.postgres_port());
  source.application_name = MemberText(state_.self);
  auto dry_run = co_await process_.Rewind(source, true);
  if (!dry_run) co_return Fail(std::move(dry_run), "rewind, dry run");
  if (RewindWasInterrupted() || MustRewind(*dry_run)) {
    // From here to the end of pg_rewind the data directory is neither the old nor the new one.
    auto marked = disk_.Write(RewindSentinel(options_.pooler_dir), "", 0600);
    if (!marked) co_return Fail(std::move(marked), "rewind");
    auto rewound = co_await process_.Rewind(source, false);
    if (!rewound) co_return Fail(std::move(rewound), "rewind");
    auto ours = promises_.MarkData();
    if (!ours) co_return Fail(std::move(ours), "rewind");
    logger_.Info("rewound", {{"leader", MemberText(primary.id())}});
  }
  std::vector<replication::AutoConfChange> changes;
  changes.push_back({.name = "restore_command", .remove = true, .value = {}});
  changes.push_back({.name = "synchronous_standby_names", .remove = true, .value = {}});
  changes.push_back({.name = "primary_conninfo", .remove = false, .value = ConninfoTo(primary).Text()});
  auto prepared = data_.EditAutoConf(changes);
  if (prepared) prepared = data_.RemoveTimelineLeftovers();
  if (prepared) {
    prepared = promises_.StoreFollowed(multigres::consensus::HighestRuleNumber(state_.recorded_primary->position()));
  }
  if (!prepared) co_return Fail(std::move(prepared), "rewind");
  auto started = co_await process_.StartAsStandby(false);
  if (!started) co_return Fail(std::move(started), "start after a rewind");
  co_await host_.OnServerRestarted();
  auto observed = co_await Observe(deadline);
  if (!observed && !state_.server) co_return Fail(std::move(observed), "start after a rewind");
  if (!state_.server->in_recovery) co_return Fail(Code::kInternal, "PostgreSQL came out of a rewind as a primary");
  state_.suspected_divergence = false;
  auto removed = disk_.Remove(RewindSentinel(options_.pooler_dir));
  co_await host_.OnConsensusChanged();
  co_return removed;
}

}  // namespace multigres::pooler::consensus
