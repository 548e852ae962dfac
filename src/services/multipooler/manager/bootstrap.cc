#include "services/multipooler/manager/bootstrap.h"

#include "common/consensus/durability.h"
#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/topoclient/cells.h"
#include "common/topoclient/lock.h"
#include "common/topoclient/names.h"
#include "services/multipooler/manager/recruit_floor.h"

namespace multigres::pooler::manager {

namespace pb = ::clustermetadata;
using multigres::consensus::MemberText;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr Duration kSurvey = seconds(10);
constexpr Duration kLeaseTtl = seconds(30);
constexpr Duration kSeed = minutes(60);
constexpr Duration kSchema = seconds(30);
constexpr Duration kStop = seconds(10);

Bootstrap::Progress Waiting(std::string reason) {
  return {.done = false, .waiting_for = std::move(reason)};
}

// Whom to copy from: the leader if it answers, else any initialised member.
const Peer* BestSource(const std::vector<Peer>& peers) {
  const Peer* best = nullptr;
  for (const Peer& peer : peers) {
    if (!peer.IsInitialized()) continue;
    if (best == nullptr || (peer.IsPrimary() && !best->IsPrimary())) best = &peer;
  }
  return best;
}

}  // namespace

Bootstrap::Bootstrap(const ManagerConfig& config, Seams seams, Logger logger)
    : config_(config),
      store_(seams.store),
      peers_(seams.peers),
      postgres_(seams.postgres),
      disk_(seams.disk),
      promises_(seams.promises),
      logger_(std::move(logger)) {}

bool Bootstrap::WasInterrupted() const {
  return disk_.Exists(Sentinel());
}

Result<> Bootstrap::SetSentinel() {
  return disk_.Write(Sentinel(), "", 0600);
}

Result<> Bootstrap::RemoveSentinel() {
  return disk_.Remove(Sentinel());
}

Awaitable<Result<>> Bootstrap::CleanUp() {
  logger_.Warn("removing an interrupted bootstrap", {{"data_dir", config_.data_dir}});
  auto stopped = co_await postgres_.process.Stop(kStop);
  if (!stopped && stopped.error().code() != Code::kFailedPrecondition) co_return stopped;
  if (auto removed = postgres_.data.Remove(); !removed) co_return removed;
  co_return RemoveSentinel();
}

Awaitable<Result<Bootstrap::Progress>> Bootstrap::Step() {
  if (WasInterrupted()) {
    auto cleaned = co_await CleanUp();
    if (!cleaned) co_return Fail(std::move(cleaned), "clean up an interrupted bootstrap");
  }
  auto peers = co_await peers_.Survey(clock().After(kSurvey));
  if (!peers) co_return std::unexpected(std::move(peers.error()));
  if (const Peer* source = BestSource(*peers)) co_return co_await Seed(*source);
  auto against = co_await WhyNotInitialize(*peers);
  if (!against) co_return std::unexpected(std::move(against.error()));
  if (!against->empty()) co_return Waiting(std::move(*against));
  co_return co_await InitializeUnderLease();
}

Awaitable<Result<std::string>> Bootstrap::WhyNotInitialize(const std::vector<Peer>& peers) {
  // A second initdb would be a second history: every doubt waits.
  for (const Peer& peer : peers) {
    if (peer.IsInitialized()) co_return MemberText(peer.record.id()) + " is initialised";
    if (!peer.status) {
      co_return MemberText(peer.record.id()) + " is registered but doesn't answer: it may hold the shard's data";
    }
    if (peer.status->status().has_data_directory()) {
      co_return MemberText(peer.record.id()) + " has a data directory and isn't up yet";
    }
  }
  topo::CallContext context;
  context.deadline = clock().After(kSurvey);
  auto claim = co_await store_.global().Get(context, topo::ShardInitClaimKey(config_.shard));
  if (claim) co_return "the shard was initialised before: waiting for a member to copy from";
  if (!topo::Is(claim.error(), topo::ErrorKind::kNoNode)) co_return Fail(std::move(claim), "shard init claim");
  co_return std::string();
}

Awaitable<Result<Bootstrap::Progress>> Bootstrap::InitializeUnderLease() {
  topo::CallContext context;
  context.deadline = clock().After(kSurvey);
  auto database = co_await topo::GetDatabase(store_, context, config_.shard.database());
  if (!database) co_return Fail(std::move(database), "database record");
  const pb::DurabilityPolicy policy = database->value.bootstrap_durability_policy();
  auto valid = multigres::consensus::ValidatePolicy(policy);
  if (!valid) co_return Fail(std::move(valid), "bootstrap durability policy of the database");

  topo::LockRequest request;
  request.path = topo::BackupLockKey(config_.shard);
  request.contents = topo::LockContents("create-first-data-directory by " + MemberText(config_.id), clock().WallNow());
  request.mode = topo::LockMode::kExactKey;
  request.ttl = kLeaseTtl;
  auto lease = co_await store_.global().AcquireLock(context, std::move(request));
  if (!lease) {
    if (topo::Is(lease.error(), topo::ErrorKind::kNodeExists))
      co_return Waiting("another member initialises the shard");
    co_return Fail(std::move(lease), "bootstrap lease");
  }
  // Who held it until now may have finished in between.
  Result<> done;
  std::string against;
  auto peers = co_await peers_.Survey(clock().After(kSurvey));
  if (!peers) {
    done = std::unexpected(std::move(peers.error()));
  } else {
    auto reason = co_await WhyNotInitialize(*peers);
    if (!reason) {
      done = std::unexpected(std::move(reason.error()));
    } else {
      against = std::move(*reason);
    }
  }
  if (done && against.empty()) done = co_await Initialize(policy, (*lease)->lost());
  topo::CallContext release;
  release.deadline = clock().After(kSurvey);
  auto unlocked = co_await (*lease)->Unlock(release);
  if (!unlocked) logger_.Warn("bootstrap lease not released", {{"error", unlocked.error()}});
  if (!done) co_return std::unexpected(std::move(done.error()));
  if (!against.empty()) co_return Waiting(std::move(against));
  co_return Progress{.done = true, .waiting_for = {}};
}

Awaitable<Result<>> Bootstrap::Initialize(pb::DurabilityPolicy policy, const Event& lease_lost) {
  logger_.Info("initialising the shard", {{"data_dir", config_.data_dir}});
  auto done = promises_.EnsureFile();
  if (done) done = SetSentinel();
  if (done) done = co_await postgres_.process.InitDataDir();
  if (done) done = promises_.MarkData();
  // The only time that a server starts writable: nobody can reach it by a rule, and it stops again at once.
  if (done) done = co_await postgres_.process.StartAsPrimary();
  if (done) {
    done = co_await postgres_.schema.Create(std::move(policy), MemberText(config_.id), clock().After(kSchema));
  }
  postgres_.server.Disconnect();
  if (done) done = co_await postgres_.process.Stop(kStop);
  // With the sentinel in place, what was made is removed again by the next step.
  if (done && lease_lost.IsSet()) done = Fail(Code::kAborted, "the bootstrap lease was lost on the way");
  if (done) done = RemoveSentinel();
  if (done) done = co_await postgres_.process.StartAsStandby(false);
  if (done) logger_.Info("shard initialised", {{"data_dir", config_.data_dir}});
  co_return done;
}

Awaitable<Result<Bootstrap::Progress>> Bootstrap::Seed(const Peer& source) {
  logger_.Info("seeding", {{"source", MemberText(source.record.id())}});
  if (auto ensured = promises_.EnsureFile(); !ensured) co_return std::unexpected(std::move(ensured.error()));
  if (auto raised = co_await RaiseFloor(source); !raised) co_return std::unexpected(std::move(raised.error()));
  const auto port = source.record.port_map().find("postgres");
  if (port == source.record.port_map().end()) {
    co_return Fail(Code::kFailedPrecondition, MemberText(source.record.id()) + " registered no PostgreSQL port");
  }
  replication::SeedSource from;
  from.host = source.record.hostname();
  from.port = port->second;
  from.user = config_.admin.user;
  from.passfile = config_.pooler_dir + "/pgpass";
  from.application_name = "seed";
  auto seeded = co_await postgres_.data.Seed(std::move(from), clock().After(kSeed));
  if (!seeded) co_return Fail(std::move(seeded), "seeding from " + MemberText(source.record.id()));
  auto clean = promises_.MarkData();
  if (clean) clean = postgres_.data.RemoveTimelineLeftovers();
  if (!clean) co_return std::unexpected(std::move(clean.error()));
  auto started = co_await postgres_.process.StartAsStandby(false);
  if (!started) co_return Fail(std::move(started), "start of the seeded server");
  postgres_.server.Disconnect();
  const std::string& expected = source.status->status().system_identifier();
  auto state = co_await postgres_.server.ReadState(clock().After(kSchema));
  if (!state) co_return Fail(std::move(state), "seeded server");
  if (!expected.empty() && state->system_identifier != expected) {
    co_return Fail(Code::kDataLoss, fmt::format("seeded from {}, but its system identifier is {}, not {}",
                                                MemberText(source.record.id()), state->system_identifier, expected));
  }
  logger_.Info("seeded", {{"source", MemberText(source.record.id())}});
  co_return Progress{.done = true, .waiting_for = {}};
}

// A copy of a shard that acknowledges writes must not vote before it has caught up with what was acknowledged.
Awaitable<Result<>> Bootstrap::RaiseFloor(const Peer& source) {
  const pb::RulePosition& rules = source.status->consensus_status().current_position().position();
  if (!multigres::consensus::HighestRule(rules).has_leader_id()) co_return Result<>();
  co_return promises_.StoreRecruitFloor(UnknownFloor(rules));
}

}  // namespace multigres::pooler::manager
