#include "common/provisioner/postgres_stop.h"

#include <csignal>

#include "common/pgdata/postmaster_file.h"
#include "common/rpc/channel.h"
#include "google/protobuf/util/time_util.h"
#include "pgctldservice.pb.h"
#include "pgctldservice.rpc.h"

namespace multigres::provisioner {

using namespace std::chrono_literals;

namespace {

constexpr Duration kStopTime = 30s;
constexpr Duration kFastTime = 20s;

Awaitable<Result<>> StopThroughPgctld(Reactor& reactor, std::string socket) {
  auto channel = rpc::Channel::Create(reactor, UnixAddress{std::move(socket)});
  pgctldservice::StopRequest request;
  request.set_mode("fast");
  *request.mutable_timeout() = google::protobuf::util::TimeUtil::SecondsToDuration(25);
  rpc::CallOptions options;
  options.deadline = reactor.clock().After(kStopTime);
  auto stopped = co_await pgctldservice::rpc::PgCtldClient(*channel).Stop(request, options);
  co_await channel->Close();
  if (!stopped) co_return std::unexpected(std::move(stopped.error()));
  co_return Result<>();
}

Awaitable<Result<>> BeforeStop(Reactor& reactor, const ServiceSpec& spec) {
  if (spec.service != "pgctld" || !pgdata::FindPostmaster(spec.pg_data_dir)) co_return Result<>();
  auto stopped = co_await StopThroughPgctld(reactor, spec.grpc_socket);
  if (!stopped) co_return Fail(std::move(stopped), "stop PostgreSQL");
  co_return Result<>();
}

Awaitable<Result<>> AfterStop(Reactor& reactor, const ServiceSpec& spec) {
  if (spec.service != "pgctld") co_return Result<>();
  co_return co_await StopPostmaster(reactor, spec.pg_data_dir);
}

}  // namespace

Awaitable<Result<>> StopPostmaster(Reactor& reactor, std::string data_dir) {
  const auto postmaster = pgdata::FindPostmaster(data_dir);
  if (!postmaster) co_return Result<>();
  auto process = Process::Adopt(reactor, postmaster->process);
  if (!process) co_return Result<>();
  (void)process->Signal(SIGINT);
  auto ended = co_await process->Wait(reactor.clock().After(kFastTime));
  if (ended) co_return Result<>();
  (void)process->Signal(SIGQUIT);
  ended = co_await process->Wait(reactor.clock().After(5s));
  if (!ended) {
    co_return Fail(Code::kDeadlineExceeded,
                   fmt::format("PostgreSQL (PID {}) in {} does not end", postmaster->process.pid, data_dir));
  }
  co_return Result<>();
}

SupervisorOptions StopOptions(Reactor& reactor) {
  SupervisorOptions options;
  options.before_stop = [&reactor](const ServiceSpec& spec) { return BeforeStop(reactor, spec); };
  options.after_stop = [&reactor](const ServiceSpec& spec) { return AfterStop(reactor, spec); };
  return options;
}

}  // namespace multigres::provisioner
