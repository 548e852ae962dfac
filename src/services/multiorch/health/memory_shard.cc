#include "services/multiorch/health/memory_shard.h"

#include "common/consensus/member.h"
#include "common/consensus/position.h"
#include "common/consensus/revocation.h"
#include "common/consensus/routing_role.h"
#include "common/consensus/rule_number.h"
#include "common/consensus/transition.h"
#include "common/consensus/wall_time.h"
#include "consensusdata.pb.h"
#include "multipoolermanagerdata.pb.h"

namespace multigres::orch {
namespace {

using ::clustermetadata::ConsensusStatus;
using ::clustermetadata::ReplicationPrimary;
using ::clustermetadata::RulePosition;
using ::clustermetadata::TermRevocation;

constexpr Duration kLatency = std::chrono::milliseconds(2);
constexpr Duration kAckPoll = std::chrono::milliseconds(10);
constexpr Duration kRestart = std::chrono::milliseconds(100);
constexpr Duration kMonitor = std::chrono::seconds(1);
constexpr Duration kHeartbeat = std::chrono::milliseconds(200);
constexpr Duration kStatusTimeout = std::chrono::seconds(5);
constexpr consensus::Lsn kRecordBytes = 0x100;

std::unexpected<Error> Gone(const std::string& member) {
  return Fail(Code::kUnavailable, fmt::format("{} is not reachable", member));
}

}  // namespace

struct MemoryShard::Node {
  std::string member;
  ::clustermetadata::ID id;
  // On disk.
  std::vector<Record> wal;
  TermRevocation promise;
  // In memory.
  ReplicationPrimary recorded;
  std::int64_t resigned_term = 0;
  // Processes.
  bool up = true;
  bool shut_down = false;
  bool isolated = false;
  bool silent = false;
  bool pooler_up = true;
  bool frozen = false;
  bool disk_frozen = false;
  bool postgres_up = true;
  bool out_of_recovery = false;
  std::string follows;  // primary_conninfo
  bool streaming = false;
  std::uint64_t incarnation = 0;  // of the PostgreSQL process: whatever waits in it ends with it
  TimePoint monitor_at;
  // Signs of life, by the clock that everybody shares here.
  std::optional<WallTime> answered_at;
  std::optional<WallTime> heartbeat_at;        // of the row, as written or replayed
  std::optional<WallTime> written_at;          // as a leader
  std::optional<WallTime> heartbeat_moved_at;  // as a standby
  std::optional<WallTime> received_at;

  bool PoolerRuns() const { return up && pooler_up; }
  bool Answers() const { return postgres_up && !frozen; }
  const RulePosition& rules() const { return wal.back().rules; }
  std::string lsn() const { return consensus::LsnText(0x1000000 + wal.size() * kRecordBytes); }
  void RestartAsStandby() {
    ++incarnation;
    postgres_up = true;
    out_of_recovery = false;
    frozen = false;
    streaming = false;
    follows.clear();
    written_at.reset();
  }
};

MemoryShard::MemoryShard(Executor executor, Clock& clock, std::vector<std::string> members, Logger logger)
    : executor_(std::move(executor)), clock_(clock), logger_(std::move(logger)) {
  Record seed{.rules = {}, .value = "seed", .id = next_record_++};
  *seed.rules.mutable_decision()->mutable_rule_number() = consensus::MakeRuleNumber(0, 1);
  *seed.rules.mutable_decision()->mutable_durability_policy() = consensus::AtLeast(2);
  for (const std::string& member : members) {
    auto node = std::make_unique<Node>();
    node->member = member;
    node->id = *consensus::ParseMember(member);
    node->wal.push_back(seed);
    nodes_.emplace(member, std::move(node));
  }
  members_ = std::move(members);
}

MemoryShard::~MemoryShard() = default;

void MemoryShard::Trace(std::string_view event, const Node& node) const {
  if (!logger_.Enabled(LogLevel::kDebug)) return;
  logger_.Debug(event, {{"pooler", node.member},
                        {"rules", consensus::RulePositionText(node.rules())},
                        {"lsn", node.lsn()},
                        {"last", node.wal.back().value},
                        {"primary", node.out_of_recovery},
                        {"follows", node.follows},
                        {"promised", node.promise.revoked_below_term()},
                        {"outgoing", consensus::RuleNumberText(node.promise.outgoing_rule())},
                        {"recorded", consensus::RulePositionText(node.recorded.position())}});
}

// --- what is true ---

bool MemoryShard::MayWrite(const Node& node) const {
  if (!node.PoolerRuns() || !node.Answers()) return false;
  const RulePosition& known = node.recorded.position();
  return consensus::RoutingRole(node.id, node.rules(), &node.promise, &known, node.out_of_recovery) ==
         consensus::Role::kPrimary;
}

std::vector<std::string> MemoryShard::Primaries() const {
  std::vector<std::string> primaries;
  for (const auto& [member, node] : nodes_) {
    if (MayWrite(*node)) primaries.push_back(member);
  }
  return primaries;
}

std::string MemoryShard::Primary() const {
  const auto primaries = Primaries();
  return primaries.size() == 1 ? primaries.front() : "";
}

RulePosition MemoryShard::Rules(const std::string& member) const {
  return At(member).rules();
}

bool MemoryShard::Follows(const std::string& member, const std::string& leader) const {
  return At(member).streaming && At(member).follows == leader && At(member).wal.size() == At(leader).wal.size();
}

bool MemoryShard::Holds(const std::string& member, const std::string& value) const {
  return std::ranges::find(At(member).wal, value, &Record::value) != At(member).wal.end();
}

std::set<std::string> MemoryShard::Values(const std::string& member) const {
  std::set<std::string> values;
  for (const Record& record : At(member).wal) values.insert(record.value);
  return values;
}

int MemoryShard::Calls(std::string_view method) const {
  auto at = calls_.find(method);
  return at == calls_.end() ? 0 : at->second;
}

// --- faults ---

void MemoryShard::KillNode(const std::string& member) {
  Node& node = At(member);
  node.RestartAsStandby();
  KillPooler(member);
  node.up = false;
  node.postgres_up = false;
  Trace("node killed", node);
}

void MemoryShard::StartNode(const std::string& member) {
  Node& node = At(member);
  node.up = true;
  node.pooler_up = true;
  node.disk_frozen = false;
  node.shut_down = false;
  node.RestartAsStandby();
}

void MemoryShard::KillPostgres(const std::string& member) {
  Node& node = At(member);
  node.RestartAsStandby();
  node.postgres_up = false;
  node.monitor_at = clock_.Now() + kMonitor;
  Trace("postgres killed", node);
}

void MemoryShard::DropConninfo(const std::string& member) {
  At(member).follows.clear();
  At(member).streaming = false;
}

void MemoryShard::SetShutDown(const std::string& member) {
  KillNode(member);
  At(member).shut_down = true;
}

void MemoryShard::SetIsolated(const std::string& member, bool isolated) {
  At(member).isolated = isolated;
  Trace(isolated ? "isolated" : "joined", At(member));
}

void MemoryShard::SetSilent(const std::string& member, bool silent) {
  At(member).silent = silent;
  Trace(silent ? "silent" : "heard again", At(member));
}

void MemoryShard::SetFrozen(const std::string& member, bool frozen) {
  At(member).frozen = frozen;
  Trace(frozen ? "frozen" : "thawed", At(member));
}

void MemoryShard::SetDiskFrozen(const std::string& member, bool frozen) {
  At(member).disk_frozen = frozen;
}

void MemoryShard::KillPooler(const std::string& member) {
  Node& node = At(member);
  node.pooler_up = false;
  node.recorded = {};
  node.resigned_term = 0;
  node.answered_at.reset();
  node.written_at.reset();
  node.heartbeat_moved_at.reset();
}

void MemoryShard::StartPooler(const std::string& member) {
  At(member).pooler_up = true;
}

void MemoryShard::AddMember(const std::string& member) {
  auto node = std::make_unique<Node>();
  node->member = member;
  node->id = *consensus::ParseMember(member);
  node->wal = At(Primary()).wal;
  nodes_.emplace(member, std::move(node));
  members_.push_back(member);
}

// --- replication and monitors ---

void MemoryShard::Stream(Node& node) {
  const bool was_streaming = std::exchange(node.streaming, false);
  if (!node.up || !node.postgres_up || node.out_of_recovery || node.follows.empty()) return;
  auto at = nodes_.find(node.follows);
  if (at == nodes_.end()) return;
  const Node& primary = *at->second;
  const bool nothing_arrives = node.silent || primary.silent || node.frozen || primary.frozen;
  if (nothing_arrives) {
    node.streaming = was_streaming;
    return;
  }
  if (!primary.up || !primary.postgres_up || node.isolated || primary.isolated) return;
  if (!primary.disk_frozen && !node.disk_frozen) return Receive(node, primary);
  node.streaming = was_streaming;
}

void MemoryShard::Receive(Node& node, const Node& primary) {
  // Records are unique, so two WALs that agree on one agree on all before it.
  const std::size_t length = node.wal.size();
  const bool prefix = length <= primary.wal.size() && primary.wal[length - 1] == node.wal.back();
  // A diverged one is rewound: here its WAL becomes the primary's. It may be needed to acknowledge the primary's rule.
  if (!prefix && !primary.out_of_recovery) return;
  if (prefix) {
    node.wal.insert(node.wal.end(), primary.wal.begin() + static_cast<std::ptrdiff_t>(length), primary.wal.end());
  } else {
    Trace("diverged", node);
    node.wal = primary.wal;
    Trace("rewound", node);
  }
  node.streaming = true;
  if (!node.received_at || node.wal.size() > length) node.received_at = clock_.WallNow();
  if (node.heartbeat_at == primary.heartbeat_at) return;
  node.heartbeat_at = primary.heartbeat_at;
  node.heartbeat_moved_at = clock_.WallNow();
}

// The pooler's look at its PostgreSQL, and a leader's heartbeat.
void MemoryShard::Probe(Node& node) {
  if (!node.PoolerRuns() || !node.Answers()) return;
  node.answered_at = clock_.WallNow();
  if (!MayWrite(node) || node.disk_frozen) return;
  if (node.written_at && clock_.WallNow() - *node.written_at < kHeartbeat) return;
  node.written_at = node.heartbeat_at = clock_.WallNow();
}

void MemoryShard::Monitor(Node& node) {
  if (!node.PoolerRuns()) return;
  if (!node.postgres_up && clock_.Now() >= node.monitor_at) node.RestartAsStandby();
  const auto& rule = consensus::HighestRule(node.rules());
  if (node.Answers() && !node.out_of_recovery && rule.has_leader_id() &&
      consensus::SameMember(rule.leader_id(), node.id)) {
    node.resigned_term = rule.rule_number().coordinator_term();
  }
}

void MemoryShard::Pump() {
  for (auto& [member, node] : nodes_) Monitor(*node);
  for (auto& [member, node] : nodes_) Probe(*node);
  for (auto& [member, node] : nodes_) Stream(*node);
}

bool MemoryShard::Durable(const Node& node, std::size_t length, const RulePosition& rules) const {
  consensus::AckRequirement requirement = consensus::IncomingRequirement(rules.decision());
  if (consensus::HasProposal(rules)) {
    auto both = consensus::BothRequirement(rules.decision(), rules.proposal());
    if (!both) return false;
    requirement = *both;
  }
  consensus::MemberSet holders;
  for (const auto& [member, other] : nodes_) {
    const bool acknowledges = other->streaming && other->follows == node.member && !other->silent && !node.silent;
    if (acknowledges && other->wal.size() >= length) holders.Insert(member);
  }
  return consensus::IsDurable(requirement.policy, requirement.cohort, node.member, holders);
}

Awaitable<Result<>> MemoryShard::Append(Node& node, RulePosition rules, std::string value, Deadline deadline) {
  const std::uint64_t incarnation = node.incarnation;
  node.wal.push_back({rules, std::move(value), next_record_++});
  const std::size_t length = node.wal.size();
  while (node.frozen || node.disk_frozen || !Durable(node, length, rules)) {
    co_await SleepFor(clock_, kAckPoll);
    if (node.incarnation != incarnation || !node.out_of_recovery) co_return Gone(node.member);
    if (deadline.Passed(clock_.Now())) co_return Fail(Code::kDeadlineExceeded, "not acknowledged");
  }
  co_return Result<>{};
}

Awaitable<Result<>> MemoryShard::WriteRule(Node& node, RulePosition transition, Deadline deadline) {
  auto proposed = co_await Append(node, transition, "proposal", deadline);
  if (!proposed) co_return proposed;
  RulePosition decided;
  *decided.mutable_decision() = transition.proposal();
  co_return co_await Append(node, decided, "decision", deadline);
}

Awaitable<bool> MemoryShard::Write(std::string value) {
  const std::string member = Primary();
  if (member.empty() || !MayWrite(At(member))) co_return false;
  Node& node = At(member);
  const RulePosition rules = node.rules();
  auto written = co_await Append(node, rules, value, clock_.After(std::chrono::seconds(5)));
  if (written) Trace("acknowledged " + value, node);
  co_return written.has_value();
}

// --- the agent ---

ConsensusStatus MemoryShard::ConsensusOf(const Node& node) const {
  ConsensusStatus status;
  *status.mutable_id() = node.id;
  if (consensus::IsSet(node.promise)) *status.mutable_term_revocation() = node.promise;
  if (node.recorded.has_primary()) *status.mutable_replication_primary() = node.recorded;
  *status.mutable_current_position()->mutable_position() = node.rules();
  if (node.postgres_up) status.mutable_current_position()->set_lsn(node.lsn());
  return status;
}

::multipoolermanagerdata::StatusResponse MemoryShard::StatusOf(const Node& node) const {
  ::multipoolermanagerdata::StatusResponse response;
  auto& status = *response.mutable_status();
  status.set_is_initialized(true);
  status.set_has_data_directory(true);
  auto set_time = [](auto* to, const std::optional<WallTime>& at) {
    if (at) *to = consensus::ToTimestamp(*at);
  };
  status.set_postgres_running(node.postgres_up);
  const bool answers = node.answered_at && clock_.WallNow() - *node.answered_at < std::chrono::seconds(1);
  status.set_postgres_ready(node.postgres_up && answers);
  if (node.answered_at) set_time(status.mutable_last_answer_time(), node.answered_at);
  if (node.written_at) set_time(status.mutable_last_heartbeat_write_time(), node.written_at);
  status.set_system_identifier("7");
  if (node.postgres_up) {
    status.set_postgres_status(node.out_of_recovery ? ::multipoolermanagerdata::POSTGRES_STATUS_PRIMARY
                                                    : ::multipoolermanagerdata::POSTGRES_STATUS_STANDBY);
  }
  if (node.postgres_up && !node.out_of_recovery) {
    auto& replication = *status.mutable_replication_status();
    replication.mutable_primary_conn_info()->set_host(node.follows);
    if (node.streaming) replication.set_wal_receiver_status("streaming");
    if (node.heartbeat_moved_at) {
      set_time(replication.mutable_leader_heartbeat_advanced_at(), node.heartbeat_moved_at);
    }
    if (node.received_at) set_time(replication.mutable_last_receive_lsn_advance_time(), node.received_at);
  } else if (node.postgres_up) {
    status.mutable_primary_status()->set_lsn(node.lsn());
  }
  *response.mutable_consensus_status() = ConsensusOf(node);
  auto& availability = *response.mutable_availability_status();
  if (node.resigned_term > 0) {
    availability.mutable_leadership_status()->set_leader_term(node.resigned_term);
    availability.mutable_leadership_status()->set_signal(::clustermetadata::LEADERSHIP_SIGNAL_REQUESTING_DEMOTION);
  }
  availability.mutable_cohort_eligibility_status()->set_signal(::clustermetadata::COHORT_ELIGIBILITY_SIGNAL_ELIGIBLE);
  return response;
}

Awaitable<Result<ConsensusStatus>> MemoryShard::Recruit(Node& node, TermRevocation request, Deadline deadline) {
  auto thawed = co_await Thaw(node, deadline);
  if (!thawed) co_return std::unexpected(std::move(thawed.error()));
  if (!node.postgres_up) co_return Fail(Code::kFailedPrecondition, "can't be recruited now");
  auto position = ConsensusOf(node).current_position();
  auto valid = consensus::ValidateRevocation(position, &node.promise, nullptr, request);
  if (!valid) co_return std::unexpected(std::move(valid.error()));
  if (node.out_of_recovery) {
    node.RestartAsStandby();
    node.postgres_up = false;
    node.monitor_at = TimePoint::max();
    co_await SleepFor(clock_, kRestart);
    if (!node.up) co_return Gone(node.member);
    node.RestartAsStandby();
  } else {
    node.follows.clear();
    node.streaming = false;
    co_await SleepFor(clock_, kLatency);
  }
  valid = consensus::ValidateRevocation(ConsensusOf(node).current_position(), &node.promise, nullptr, request);
  if (!valid) co_return std::unexpected(std::move(valid.error()));
  node.promise = consensus::MergePromise(&node.promise, request);
  Trace("recruited", node);
  co_return ConsensusOf(node);
}

Awaitable<Result<ConsensusStatus>> MemoryShard::Promote(Node& node, ::consensusdata::PromoteRequest request,
                                                        Deadline deadline) {
  const auto& proposal = request.proposal();
  const std::int64_t term = proposal.term_revocation().revoked_below_term();
  if (node.promise.revoked_below_term() != term)
    co_return Fail(Code::kFailedPrecondition, "must Recruit before Promote");
  auto valid = consensus::ValidateRevocation(ConsensusOf(node).current_position(), &node.promise, nullptr,
                                             proposal.term_revocation());
  if (!valid) co_return std::unexpected(std::move(valid.error()));
  if (!node.postgres_up || node.out_of_recovery || !node.follows.empty()) {
    co_return Fail(Code::kFailedPrecondition, "not a standby that follows nobody");
  }
  *node.recorded.mutable_position() = proposal.proposed_transition();
  *node.recorded.mutable_primary() = proposal.proposal_leader();
  const std::uint64_t incarnation = ++node.incarnation;
  co_await SleepFor(clock_, kRestart);
  auto thawed = co_await Thaw(node, deadline);
  if (!thawed) co_return std::unexpected(std::move(thawed.error()));
  if (node.incarnation != incarnation || node.promise.revoked_below_term() != term) co_return Gone(node.member);
  node.out_of_recovery = true;
  Trace("promoted", node);
  auto written = co_await WriteRule(node, proposal.proposed_transition(), deadline);
  if (!written) co_return std::unexpected(std::move(written.error()));
  *node.recorded.mutable_position() = node.rules();
  node.recorded.set_rewind_ready(true);
  Trace("leads", node);
  co_return ConsensusOf(node);
}

Awaitable<Result<ConsensusStatus>> MemoryShard::SetPrimary(Node& node, ReplicationPrimary target) {
  const RulePosition& position = target.position();
  if (consensus::IsRuleRevoked(position, &node.promise)) co_return ConsensusOf(node);
  if (consensus::CompareRules(position, node.recorded.position()) >= 0) {
    const bool was_ready =
        node.recorded.rewind_ready() && consensus::SameMember(node.recorded.primary().id(), target.primary().id());
    node.recorded = target;
    node.recorded.set_rewind_ready(target.rewind_ready() || was_ready);
  }
  if (!node.postgres_up || consensus::CompareRules(position, node.rules()) < 0) co_return ConsensusOf(node);
  if (node.out_of_recovery) node.RestartAsStandby();
  node.follows = consensus::MemberText(node.recorded.primary().id());
  Trace("follows", node);
  co_return ConsensusOf(node);
}

Awaitable<Result<::clustermetadata::PoolerPosition>> MemoryShard::UpdateRule(
    Node& node, ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) {
  const RulePosition rules = node.rules();
  if (!MayWrite(node)) co_return Fail(Code::kFailedPrecondition, "not the leader");
  if (consensus::HasProposal(rules)) co_return Fail(Code::kFailedPrecondition, "undecided proposal");
  if (!consensus::SameNumber(rules.decision().rule_number(), request.expected_outgoing_rule())) {
    co_return Fail(Code::kFailedPrecondition, "rule conflict: current rule version changed since last read");
  }
  RulePosition transition = rules;
  auto& next = *transition.mutable_proposal();
  next = rules.decision();
  next.mutable_rule_number()->set_leader_subterm(rules.decision().rule_number().leader_subterm() + 1);
  consensus::MemberSet cohort = consensus::MemberSet::Of(next.cohort_members());
  for (const auto& id : request.standby_ids()) {
    const std::string member = consensus::MemberText(id);
    if (request.operation() == ::multipoolermanagerdata::RULE_OPERATION_COHORT_ADD) cohort.Insert(member);
    if (request.operation() == ::multipoolermanagerdata::RULE_OPERATION_COHORT_REMOVE) cohort.Erase(member);
  }
  next.clear_cohort_members();
  for (const std::string& member : cohort) *next.add_cohort_members() = *consensus::ParseMember(member);
  auto written = co_await WriteRule(node, transition, deadline);
  if (!written) co_return std::unexpected(std::move(written.error()));
  *node.recorded.mutable_position() = node.rules();
  co_return ConsensusOf(node).current_position();
}

// --- how orchestrators reach it ---

class MemoryShard::Client final : public PoolerClient {
 public:
  Client(MemoryShard& shard, const Access* access, std::string member)
      : shard_(shard), access_(access), member_(std::move(member)) {}

  Awaitable<Result<::multipoolermanagerdata::StatusResponse>> Status(Deadline deadline) override {
    auto entered = co_await shard_.Enter(access_, member_, "Status", deadline);
    if (!entered) co_return std::unexpected(std::move(entered.error()));
    // A pooler waits for its PostgreSQL for a while, and then says what it knows.
    (void)co_await shard_.Thaw(shard_.At(member_), shard_.clock_.After(kStatusTimeout).Earlier(deadline));
    if (deadline.Passed(shard_.clock_.Now())) co_return Fail(Code::kDeadlineExceeded, "no answer");
    co_return shard_.StatusOf(shard_.At(member_));
  }

  Awaitable<Result<::consensusdata::RecruitResponse>> Recruit(::consensusdata::RecruitRequest request,
                                                              Deadline deadline) override {
    auto entered = co_await shard_.Enter(access_, member_, "Recruit", deadline);
    if (!entered) co_return std::unexpected(std::move(entered.error()));
    auto status = co_await shard_.Recruit(shard_.At(member_), request.term_revocation(), deadline);
    co_return Answer<::consensusdata::RecruitResponse>(std::move(status));
  }

  Awaitable<Result<::consensusdata::PromoteResponse>> Promote(::consensusdata::PromoteRequest request,
                                                              Deadline deadline) override {
    auto entered = co_await shard_.Enter(access_, member_, "Promote", deadline);
    if (!entered) co_return std::unexpected(std::move(entered.error()));
    auto status = co_await shard_.Promote(shard_.At(member_), std::move(request), deadline);
    co_return Answer<::consensusdata::PromoteResponse>(std::move(status));
  }

  Awaitable<Result<::consensusdata::SetPrimaryResponse>> SetPrimary(::consensusdata::SetPrimaryRequest request,
                                                                    Deadline deadline) override {
    auto entered = co_await shard_.Enter(access_, member_, "SetPrimary", deadline);
    if (entered) entered = co_await shard_.Thaw(shard_.At(member_), deadline);
    if (!entered) co_return std::unexpected(std::move(entered.error()));
    auto status = co_await shard_.SetPrimary(shard_.At(member_), request.replication_primary());
    co_return Answer<::consensusdata::SetPrimaryResponse>(std::move(status));
  }

  Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> UpdateConsensusRule(
      ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) override {
    auto entered = co_await shard_.Enter(access_, member_, "UpdateConsensusRule", deadline);
    if (!entered) co_return std::unexpected(std::move(entered.error()));
    auto position = co_await shard_.UpdateRule(shard_.At(member_), std::move(request), deadline);
    if (!position) co_return std::unexpected(std::move(position.error()));
    ::multipoolermanagerdata::UpdateConsensusRuleResponse response;
    *response.mutable_current_position() = std::move(*position);
    co_return response;
  }

 private:
  template <class Response>
  Result<Response> Answer(Result<ConsensusStatus> status) {
    if (!status) return std::unexpected(std::move(status.error()));
    if (!shard_.At(member_).PoolerRuns() || access_->cut_off_.contains(member_)) return Gone(member_);
    Response response;
    *response.mutable_consensus_status() = std::move(*status);
    return response;
  }

  MemoryShard& shard_;
  const Access* access_;
  std::string member_;
};

Awaitable<Result<>> MemoryShard::Enter(const Access* access, const std::string& member, std::string_view method,
                                       Deadline deadline) {
  ++calls_[std::string(method)];
  co_await SleepFor(clock_, latency ? std::max(kLatency, latency(member, method)) : kLatency);
  while (At(member).silent && !deadline.Passed(clock_.Now())) co_await SleepFor(clock_, kAckPoll);
  if (deadline.Passed(clock_.Now())) co_return Fail(Code::kDeadlineExceeded, "no answer");
  if (!At(member).PoolerRuns() || access->cut_off_.contains(member)) co_return Gone(member);
  if (on_call) co_return on_call(member, method);
  co_return Result<>{};
}

Awaitable<Result<>> MemoryShard::Thaw(const Node& node, Deadline deadline) {
  while (node.frozen && !deadline.Passed(clock_.Now())) co_await SleepFor(clock_, kAckPoll);
  if (node.frozen) co_return Fail(Code::kDeadlineExceeded, "PostgreSQL doesn't answer");
  co_return Result<>{};
}

std::shared_ptr<PoolerClient> MemoryShard::Access::Find(const std::string& member) {
  if (!shard_.nodes_.contains(member)) return nullptr;
  return std::make_shared<Client>(shard_, this, member);
}

void MemoryShard::Access::CutOff(const std::string& member, bool cut_off) {
  if (cut_off) {
    cut_off_.insert(member);
  } else {
    cut_off_.erase(member);
  }
}

void MemoryShard::Access::Publish() {
  for (const auto& [member, node] : shard_.nodes_) {
    auto record = std::make_shared<::clustermetadata::MultiPooler>();
    *record->mutable_id() = node->id;
    record->mutable_shard_key()->set_database("postgres");
    record->mutable_shard_key()->set_table_group("default");
    record->mutable_shard_key()->set_shard("0-inf");
    record->set_hostname(member);
    (*record->mutable_port_map())["postgres"] = 5432;
    record->mutable_lifecycle_status()->set_status(node->shut_down ? ::clustermetadata::LIFECYCLE_SHUTDOWN
                                                                   : ::clustermetadata::LIFECYCLE_ACTIVE);
    board_.SetRecord(std::move(record));
    if (node->silent) continue;
    const bool reachable = node->PoolerRuns() && !cut_off_.contains(member);
    board_.SetConnected(member, reachable);
    if (reachable) board_.SetStatus(member, shard_.StatusOf(*node), shard_.clock_.WallNow());
  }
}

}  // namespace multigres::orch
