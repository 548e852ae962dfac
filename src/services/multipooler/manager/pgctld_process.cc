#include "services/multipooler/manager/pgctld_process.h"

#include "pgctldservice.pb.h"
#include "pgctldservice.rpc.h"

namespace multigres::pooler::manager {

namespace pb = ::pgctldservice;
using pb::rpc::PgCtldClient;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

// pgctld bounds each operation itself; these are for a pgctld that doesn't answer.
constexpr Duration kShort = seconds(10);
constexpr Duration kStart = minutes(3);
constexpr Duration kInit = minutes(12);
constexpr Duration kRewind = minutes(35);
constexpr Duration kImmediate = seconds(5);

template <class Response>
Result<> WithoutValue(Result<Response>&& response, std::string_view what) {
  if (!response) return Fail(std::move(response), what);
  return {};
}

}  // namespace

PgctldProcess::PgctldProcess(Reactor& reactor, Address pgctld)
    : reactor_(reactor), channel_(rpc::Channel::Create(reactor, std::move(pgctld))) {}

PgctldProcess::~PgctldProcess() = default;

Awaitable<void> PgctldProcess::Close() {
  co_await channel_->Close();
}

rpc::CallOptions PgctldProcess::Within(Duration timeout) {
  rpc::CallOptions options;
  options.deadline = reactor_.clock().After(timeout);
  return options;
}

Awaitable<Result<replication::ProcessStatus>> PgctldProcess::Status(Deadline deadline) {
  rpc::CallOptions options = Within(kShort);
  options.deadline = options.deadline.Earlier(deadline);
  auto response = co_await PgCtldClient(*channel_).Status({}, options);
  if (!response) co_return Fail(std::move(response), "pgctld status");
  co_return replication::ProcessStatus{.initialized = response->status() != pb::NOT_INITIALIZED,
                                       .process_alive = response->pid() != 0,
                                       .ready = response->ready(),
                                       .stopping = response->status() == pb::STOPPING};
}

Awaitable<Result<>> PgctldProcess::StartAsStandby(bool suspected_divergence) {
  pb::StartRequest request;
  request.set_suspected_divergence(suspected_divergence);
  request.set_allow_crash_recovery(suspected_divergence);
  co_return WithoutValue(co_await PgCtldClient(*channel_).Start(std::move(request), Within(kStart)), "pgctld start");
}

Awaitable<Result<>> PgctldProcess::StartAsPrimary() {
  pb::StartRequest request;
  request.set_as_primary(true);
  co_return WithoutValue(co_await PgCtldClient(*channel_).Start(std::move(request), Within(kStart)), "pgctld start");
}

Awaitable<Result<>> PgctldProcess::StopWith(std::string mode, Duration timeout) {
  pb::StopRequest request;
  request.set_mode(std::move(mode));
  const auto whole_seconds = std::chrono::ceil<seconds>(timeout);
  request.mutable_timeout()->set_seconds(whole_seconds.count());
  co_return WithoutValue(co_await PgCtldClient(*channel_).Stop(std::move(request), Within(timeout + kStart)),
                         "pgctld stop");
}

Awaitable<Result<>> PgctldProcess::Stop(Duration fast_timeout) {
  auto stopped = co_await StopWith("fast", fast_timeout);
  if (stopped || stopped.error().code() != Code::kDeadlineExceeded) co_return stopped;
  co_return co_await StopWith("immediate", kImmediate);
}

Awaitable<Result<>> PgctldProcess::InitDataDir() {
  co_return WithoutValue(co_await PgCtldClient(*channel_).InitDataDir({}, Within(kInit)), "pgctld init");
}

Awaitable<Result<std::string>> PgctldProcess::Rewind(RewindSource source, bool dry_run) {
  pb::PgRewindRequest request;
  request.set_source_host(std::move(source.host));
  request.set_source_port(source.port);
  request.set_application_name(std::move(source.application_name));
  request.set_dry_run(dry_run);
  auto response = co_await PgCtldClient(*channel_).PgRewind(std::move(request), Within(kRewind));
  if (!response) co_return Fail(std::move(response), "pgctld rewind");
  co_return response->output();
}

Awaitable<Result<>> PgctldProcess::StopRestoreCommand() {
  co_return WithoutValue(co_await PgCtldClient(*channel_).StopRestoreCommand({}, Within(kShort)),
                         "pgctld stop restore_command");
}

}  // namespace multigres::pooler::manager
