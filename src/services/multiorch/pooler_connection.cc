#include "services/multiorch/pooler_connection.h"

#include "common/consensus/wall_time.h"
#include "consensusdata.pb.h"
#include "consensusservice.rpc.h"
#include "multipoolermanagerdata.pb.h"
#include "multipoolermanagerservice.rpc.h"

namespace multigres::orch {
namespace {

using ::multipoolermanagerdata::ManagerHealthStreamClientMessage;
using ::multipoolermanagerdata::ManagerHealthStreamResponse;
using HealthStream = rpc::ClientStream<ManagerHealthStreamClientMessage, ManagerHealthStreamResponse>;

// A stream without a message for so many report intervals counts as lost (90 s for 5 s).
constexpr int kStaleIntervals = 18;
constexpr Duration kReconnectBase = std::chrono::milliseconds(100);
constexpr Duration kReconnectMax = std::chrono::seconds(30);

void Assign(::google::protobuf::Duration& to, Duration from) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(from);
  to.set_seconds(seconds.count());
  to.set_nanos(static_cast<std::int32_t>((from - seconds).count()));
}

rpc::CallOptions Until(Deadline deadline) {
  rpc::CallOptions options;
  options.deadline = deadline;
  return options;
}

}  // namespace

PoolerConnection::PoolerConnection(const ConnectionContext& context, std::string member, Address address)
    : context_(context),
      member_(std::move(member)),
      channel_(rpc::Channel::Create(context.reactor, std::move(address), context.channel)) {}

PoolerConnection::~PoolerConnection() = default;

Awaitable<void> PoolerConnection::Close() {
  closed_ = true;
  co_await channel_->Close();
}

Awaitable<void> PoolerConnection::FollowHealth(std::shared_ptr<PoolerConnection> self) {
  const ConnectionContext& context = self->context_;
  Jitter jitter(context.random, kReconnectBase, kReconnectMax);
  bool was_connected = true;
  while (true) {
    auto ended = co_await self->RunStream();
    context.board.SetConnected(self->member_, false);
    const bool delivered = ended && *ended;
    if (delivered || was_connected) {
      context.logger.Info("health stream ended", {{"pooler", self->member_}});
      jitter.Reset();
    }
    was_connected = delivered;
    Clock& clock = context.reactor.clock();
    self->try_now_.Reset();
    if (co_await self->try_now_.WaitUntil(clock, clock.After(jitter.Next()))) jitter.Reset();
  }
}

Awaitable<Result<bool>> PoolerConnection::RunStream() {
  Clock& clock = context_.reactor.clock();
  HealthStream stream = ::multipoolermanager::rpc::MultiPoolerManagerClient(*channel_).ManagerHealthStream();
  ManagerHealthStreamClientMessage start;
  const Duration interval = context_.health_check_interval;
  const Duration staleness_timeout = kStaleIntervals * interval;
  Assign(*start.mutable_start()->mutable_snapshot_interval(), interval);
  Assign(*start.mutable_start()->mutable_staleness_timeout(), staleness_timeout);
  auto written = co_await stream.Write(start);
  if (!written) co_return std::unexpected(std::move(written.error()));
  bool delivered = false;
  while (true) {
    Timer staleness = clock.Schedule(staleness_timeout, [&stream] { stream.Cancel(); });
    ManagerHealthStreamResponse message;
    auto read = co_await stream.Read(message);
    if (!read || !*read) co_return delivered;
    if (!message.has_snapshot()) continue;
    if (!std::exchange(delivered, true)) context_.logger.Info("health stream up", {{"pooler", member_}});
    auto& snapshot = *message.mutable_snapshot();
    context_.board.SetConnected(member_, true);
    context_.board.SetStatus(member_, std::move(*snapshot.mutable_status()),
                             consensus::FromTimestamp(snapshot.captured_at()));
  }
}

Awaitable<Result<::multipoolermanagerdata::StatusResponse>> PoolerConnection::Status(Deadline deadline) {
  if (closed_) co_return Fail(Code::kUnavailable, "pooler is gone");
  co_return co_await ::multipoolermanager::rpc::MultiPoolerManagerClient(*channel_).Status({}, Until(deadline));
}

Awaitable<Result<::consensusdata::RecruitResponse>> PoolerConnection::Recruit(::consensusdata::RecruitRequest request,
                                                                              Deadline deadline) {
  if (closed_) co_return Fail(Code::kUnavailable, "pooler is gone");
  co_return co_await ::consensus::rpc::MultiPoolerConsensusClient(*channel_).Recruit(std::move(request),
                                                                                     Until(deadline));
}

Awaitable<Result<::consensusdata::PromoteResponse>> PoolerConnection::Promote(::consensusdata::PromoteRequest request,
                                                                              Deadline deadline) {
  if (closed_) co_return Fail(Code::kUnavailable, "pooler is gone");
  co_return co_await ::consensus::rpc::MultiPoolerConsensusClient(*channel_).Promote(std::move(request),
                                                                                     Until(deadline));
}

Awaitable<Result<::consensusdata::SetPrimaryResponse>> PoolerConnection::SetPrimary(
    ::consensusdata::SetPrimaryRequest request, Deadline deadline) {
  if (closed_) co_return Fail(Code::kUnavailable, "pooler is gone");
  co_return co_await ::consensus::rpc::MultiPoolerConsensusClient(*channel_).SetPrimary(std::move(request),
                                                                                        Until(deadline));
}

Awaitable<Result<::multipoolermanagerdata::UpdateConsensusRuleResponse>> PoolerConnection::UpdateConsensusRule(
    ::multipoolermanagerdata::UpdateConsensusRuleRequest request, Deadline deadline) {
  if (closed_) co_return Fail(Code::kUnavailable, "pooler is gone");
  co_return co_await ::consensus::rpc::MultiPoolerConsensusClient(*channel_).UpdateConsensusRule(std::move(request),
                                                                                                 Until(deadline));
}

}  // namespace multigres::orch
