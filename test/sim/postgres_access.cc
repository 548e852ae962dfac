#include "test/sim/postgres_access.h"

#include "common/consensus/durability.h"
#include "common/consensus/position.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/safety.h"

namespace multigres::sim {

namespace pb = ::clustermetadata;
using ::multigres::consensus::Enforced;
using ::multigres::consensus::SafetyRule;
using pooler::consensus::RuleCommit;
using pooler::replication::Follower;
using pooler::replication::ReloadReport;
using pooler::replication::ServerState;
using pooler::replication::SettingChange;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kPoll = milliseconds(5);
constexpr Duration kReadTimeout = seconds(2);
constexpr Duration kReloadTimeout = seconds(5);

std::unexpected<Error> Severed() {
  return Fail(Code::kUnavailable, "this process is dead");
}

}  // namespace

// --- pgctld

class PostgresAccess::Process final : public pooler::replication::PostgresProcess {
 public:
  explicit Process(PostgresAccess& access) : access_(access) {}

  Awaitable<Result<pooler::replication::ProcessStatus>> Status(Deadline) override {
    if (access_.severed_) co_return Severed();
    co_return access_.pgctld_->Status();
  }
  Awaitable<Result<>> StartAsStandby(bool suspected_divergence) override {
    co_return co_await Run<Result<>>(access_.pgctld_->Start(false, suspected_divergence));
  }
  Awaitable<Result<>> StartAsPrimary() override {
    co_return co_await Run<Result<>>(access_.pgctld_->Start(true, false));
  }
  Awaitable<Result<>> Stop(Duration fast_timeout) override {
    co_return co_await Run<Result<>>(access_.pgctld_->Stop(fast_timeout));
  }
  Awaitable<Result<>> InitDataDir() override { co_return co_await Run<Result<>>(access_.pgctld_->InitDataDir()); }
  Awaitable<Result<std::string>> Rewind(RewindSource source, bool dry_run) override {
    co_return co_await Run<Result<std::string>>(access_.pgctld_->Rewind(std::move(source), dry_run));
  }
  Awaitable<Result<>> StopRestoreCommand() override { co_return Result<>(); }

 private:
  // The operation goes on whatever becomes of its caller.
  template <class T>
  Awaitable<T> Run(Awaitable<T> operation) {
    if (access_.severed_) co_return Severed();
    struct Call {
      std::optional<T> answer;
      Event done;
    };
    auto call = std::make_shared<Call>();
    access_.pgctld_->tasks().Spawn("pgctld", [](std::shared_ptr<Call> call, Awaitable<T> operation) -> Awaitable<void> {
      call->answer = co_await std::move(operation);
      call->done.Set();
    }(call, std::move(operation)));
    while (!call->answer) {
      (void)co_await call->done.WaitUntil(access_.clock_, access_.clock_.After(milliseconds(100)));
      if (access_.severed_) co_return Severed();
    }
    co_return std::move(*call->answer);
  }

  PostgresAccess& access_;
};

// --- the server

class PostgresAccess::Server final : public pooler::replication::Server {
 public:
  explicit Server(PostgresAccess& access)
      : pooler::replication::Server(access.clock_), access_(access), postgres_(access.postgres_) {}

  Awaitable<Result<ServerState>> ReadState(Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline.Earlier(clock().After(kReadTimeout)));
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    co_return postgres_.State(clock().WallNow());
  }

  Awaitable<Result<std::vector<Follower>>> ReadFollowers(Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    co_return postgres_.Followers();
  }

  Awaitable<Result<>> ChangeSettings(std::vector<SettingChange> changes, Deadline deadline) override {
    deadline = deadline.Earlier(clock().After(kReloadTimeout));
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    for (const SettingChange& change : changes) {
      std::string value = change.value;
      const bool fence = value == ::multigres::consensus::Fence().Text();
      if (fence && !Enforced(SafetyRule::kFence)) value.clear();
      postgres_.ChangeSetting(change.name, value);
    }
    while (true) {
      reached = co_await access_.Reach(deadline);
      if (!reached) co_return reached;
      const bool seen = std::ranges::all_of(changes, [this](const SettingChange& change) {
        const bool fenced = change.name == "synchronous_standby_names" && !Enforced(SafetyRule::kFence);
        return fenced || postgres_.Setting(change.name) == change.value;
      });
      if (seen) co_return Result<>();
      if (deadline.Passed(clock().Now())) co_return Fail(Code::kDeadlineExceeded, "reload took no effect in time");
      co_await SleepFor(clock(), kPoll);
    }
  }

  Awaitable<Result<>> Promote(std::int64_t term, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    const bool unique = Enforced(SafetyRule::kUniqueTimelines);
    const std::uint32_t own = postgres_.wal().timeline();
    if (unique && own > term) co_return Fail(Code::kFailedPrecondition, "promoted in this term already");
    postgres_.PromoteTo(unique ? static_cast<std::uint32_t>(term + 1) : own + 1);
    while (true) {
      co_await SleepFor(clock(), kPoll);
      reached = co_await access_.Reach(deadline);
      if (!reached) co_return reached;
      if (!postgres_.in_recovery()) co_return Result<>();
      if (deadline.Passed(clock().Now())) co_return Fail(Code::kDeadlineExceeded, "still in recovery");
    }
  }

  Awaitable<Result<>> Checkpoint(Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    co_await SleepFor(clock(), milliseconds(access_.world_.random.Between(20, 600)));
    reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    if (!postgres_.in_recovery()) postgres_.Checkpoint();
    co_return Result<>();
  }

  Awaitable<Result<>> SetReplayPaused(bool paused, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    postgres_.SetReplayPaused(paused);
    co_return Result<>();
  }

  Awaitable<Result<ReloadReport>> Reload(std::map<std::string, std::string>, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    co_return ReloadReport{.mismatches = {}, .needs_restart = false, .loaded_at = clock().WallNow()};
  }

  Awaitable<bool> IsPrimaryAt(std::string host, std::uint16_t, Deadline deadline) override {
    co_await SleepFor(clock(), milliseconds(5));
    auto at = access_.world_.servers.find(host);
    if (at == access_.world_.servers.end()) co_return false;
    const MemoryPostgres& other = *at->second;
    co_return other.Accepting() && !other.frozen() && !other.in_recovery() &&
        access_.world_.network.PassesBoth(postgres_.host(), other.host());
  }

  void Disconnect() override {}

 private:
  PostgresAccess& access_;
  MemoryPostgres& postgres_;
};

// --- the schema

class PostgresAccess::Schema final : public pooler::consensus::ShardSchema {
 public:
  explicit Schema(PostgresAccess& access)
      : access_(access), postgres_(access.postgres_), ledger_(access.world_.ledger) {}

  Awaitable<Result<>> Create(pb::DurabilityPolicy policy, std::string, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    auto rules = std::make_shared<pb::RulePosition>();
    *rules->mutable_decision()->mutable_rule_number() = ::multigres::consensus::MakeRuleNumber(0, 1);
    *rules->mutable_decision()->mutable_durability_policy() = std::move(policy);
    postgres_.Append(Make(Record::Kind::kDecision, std::move(rules)), false);
    co_return Result<>();
  }

  Awaitable<Result<>> RecreateUnlogged(Deadline deadline) override { co_return co_await access_.Reach(deadline); }

  Awaitable<Result<pb::RulePosition>> ReadRule(bool plain, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline.Earlier(access_.clock_.After(kReadTimeout)));
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    if (!plain && postgres_.RuleLocked()) co_return Fail(Code::kAborted, "a change of the rule is in progress");
    const Rules rules = postgres_.VisibleRules();
    if (rules == nullptr) co_return Fail(Code::kNotFound, "the shard has no rule");
    co_return *rules;
  }

  Awaitable<Result<pooler::replication::Lsn>> CommitRule(RuleCommit commit, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    // The row is locked by whoever changes it now.
    while (postgres_.RuleLocked()) {
      co_await SleepFor(access_.clock_, kPoll);
      reached = co_await access_.Reach(deadline);
      if (!reached) co_return std::unexpected(std::move(reached.error()));
      if (deadline.Passed(access_.clock_.Now())) co_return Fail(Code::kDeadlineExceeded, "the rule is locked");
    }
    if (postgres_.in_recovery()) co_return Fail(Code::kFailedPrecondition, "read-only");
    const Record* record = RecordOf(commit);
    if (record == nullptr) {
      co_return std::unexpected(Error(Code::kAborted, "rule conflict: current rule version changed since last read")
                                    .WithExecution(Execution::kDidNotExecute));
    }
    const bool waits = commit.kind != RuleCommit::Kind::kPropose || Enforced(SafetyRule::kProposalAcknowledged);
    auto appended = postgres_.Append(record, waits);
    access_.world_.trace.Note("{} writes {} at {}", postgres_.name(),
                              ::multigres::consensus::RulePositionText(*record->rules), postgres_.wal().size());
    auto done = co_await access_.Await(appended, deadline);
    if (!done) co_return std::unexpected(std::move(done.error()));
    co_return LsnAt(postgres_.wal().size());
  }

  Awaitable<Result<>> WriteHeartbeat(std::string, std::int64_t ts_ns, Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return reached;
    if (postgres_.in_recovery()) co_return Fail(Code::kFailedPrecondition, "read-only");
    postgres_.Append(ledger_.MakeHeartbeat(postgres_.wal().timeline(), postgres_.wal().last(), ts_ns), false);
    co_return Result<>();
  }

  Awaitable<Result<std::optional<std::int64_t>>> ReadHeartbeat(Deadline deadline) override {
    auto reached = co_await access_.Reach(deadline);
    if (!reached) co_return std::unexpected(std::move(reached.error()));
    const std::int64_t ts = postgres_.VisibleHeartbeat();
    co_return ts == 0 ? std::optional<std::int64_t>() : std::optional(ts);
  }

 private:
  const Record* Make(Record::Kind kind, Rules rules) {
    return ledger_.MakeRule(kind, postgres_.wal().timeline(), postgres_.wal().last(), std::move(rules));
  }

  // Null if the CAS fails.
  const Record* RecordOf(const RuleCommit& commit) {
    const Rules current = postgres_.VisibleRules();
    if (commit.kind == RuleCommit::Kind::kConfirm) return Make(Record::Kind::kConfirmation, current);
    if (current == nullptr) return nullptr;
    const bool as_read = ::multigres::consensus::CompareRules(*current, commit.expected) == 0;
    if (!as_read && Enforced(SafetyRule::kRuleNumberAsked)) return nullptr;
    auto next = std::make_shared<pb::RulePosition>();
    if (commit.kind == RuleCommit::Kind::kDecide) {
      *next->mutable_decision() = current->proposal();
      return Make(Record::Kind::kDecision, std::move(next));
    }
    *next->mutable_decision() = current->decision();
    *next->mutable_proposal() = commit.rule;
    return Make(Record::Kind::kProposal, std::move(next));
  }

  PostgresAccess& access_;
  MemoryPostgres& postgres_;
  Ledger& ledger_;
};

// --- the data directory

class PostgresAccess::Data final : public pooler::replication::DataDirectory {
 public:
  explicit Data(PostgresAccess& access) : access_(access), postgres_(access.postgres_) {}

  bool Exists() const override { return postgres_.disk().initialized; }
  Result<> EditAutoConf(const std::vector<pooler::replication::AutoConfChange>& changes) override {
    if (access_.severed_) return Severed();
    for (const auto& change : changes) {
      if (change.remove) {
        postgres_.disk().auto_conf.erase(change.name);
      } else {
        postgres_.disk().auto_conf[change.name] = change.value;
      }
    }
    return {};
  }
  Result<> RemoveTimelineLeftovers() override { return {}; }
  Result<std::string> ReadMark() const override {
    if (postgres_.disk().mark.empty()) return Fail(Code::kNotFound, "no mark");
    return postgres_.disk().mark;
  }
  Result<> WriteMark(std::string_view text) override {
    if (access_.severed_) return Severed();
    postgres_.disk().mark = text;
    return {};
  }
  Awaitable<Result<>> Seed(pooler::replication::SeedSource source, Deadline) override {
    auto at = access_.world_.servers.find(source.host);
    for (int part = 0; part < 4; ++part) {
      co_await SleepFor(access_.clock_, milliseconds(access_.world_.random.Between(20, 200)));
      if (access_.severed_) co_return Severed();
      const bool reachable = at != access_.world_.servers.end() && at->second->Accepting() && !at->second->frozen() &&
                             access_.world_.network.PassesBoth(postgres_.host(), at->second->host());
      if (!reachable) co_return Fail(Code::kUnavailable, "pg_basebackup failed");
    }
    if (postgres_.disk().initialized) co_return Fail(Code::kFailedPrecondition, "there is a data directory");
    postgres_.CopyFrom(*at->second);
    access_.world_.trace.Note("{} is seeded from {} at {}", postgres_.name(), source.host, postgres_.wal().size());
    co_return Result<>();
  }
  Result<> Remove() override {
    if (access_.severed_) return Severed();
    postgres_.disk() = MemoryPostgres::Disk{};
    return {};
  }

 private:
  PostgresAccess& access_;
  MemoryPostgres& postgres_;
};

// --- all of it

PostgresAccess::PostgresAccess(PostgresWorld& world, MemoryPostgres& postgres, std::shared_ptr<MemoryPgctld> pgctld,
                               Clock& clock)
    : world_(world),
      postgres_(postgres),
      pgctld_(std::move(pgctld)),
      clock_(clock),
      process_(std::make_unique<Process>(*this)),
      server_(std::make_unique<Server>(*this)),
      schema_(std::make_unique<Schema>(*this)),
      data_(std::make_unique<Data>(*this)) {}

PostgresAccess::~PostgresAccess() = default;

pooler::consensus::Postgres PostgresAccess::Seams() {
  return {*process_, *server_, *schema_, *data_};
}

Awaitable<Result<>> PostgresAccess::Reach(Deadline deadline) {
  if (severed_) co_return Severed();
  co_await SleepFor(clock_, milliseconds(world_.random.Between(1, 4)));
  while (!severed_ && postgres_.running() && postgres_.frozen()) {
    if (deadline.Passed(clock_.Now())) co_return Fail(Code::kDeadlineExceeded, "postgres doesn't answer");
    co_await SleepFor(clock_, kPoll);
  }
  if (severed_) co_return Severed();
  if (!postgres_.Accepting()) co_return Fail(Code::kUnavailable, "postgres doesn't accept connections");
  co_return Result<>();
}

Awaitable<Result<>> PostgresAccess::Await(std::shared_ptr<MemoryPostgres::Commit> commit, Deadline deadline) {
  using State = MemoryPostgres::Commit::State;
  const bool in_time = co_await commit->changed.WaitUntil(clock_, deadline);
  const auto unknown = [](Code code, std::string text) {
    return std::unexpected(Error(code, std::move(text)).WithExecution(Execution::kMayHaveExecuted));
  };
  if (!in_time && commit->state == State::kWaiting) {
    if (world_.random.Below(2) == 0) postgres_.Cancel(*commit);
    co_return unknown(Code::kDeadlineExceeded, "not acknowledged in time");
  }
  if (severed_ || commit->state == State::kLost) co_return unknown(Code::kUnavailable, "the connection is lost");
  if (commit->state == State::kCancelled) {
    co_return unknown(Code::kUnknown, "canceling wait for synchronous replication due to user request");
  }
  co_return Result<>();
}

}  // namespace multigres::sim
