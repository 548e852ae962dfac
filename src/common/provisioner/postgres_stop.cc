#include "common/provisioner/postgres_stop.h"

#include <charconv>
#include <csignal>
#include <filesystem>

#include "common/rpc/channel.h"
#include "google/protobuf/util/time_util.h"
#include "pgctldservice.pb.h"
#include "pgctldservice.rpc.h"
#include "tools/fs/file.h"

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
  if (spec.service != "pgctld" || !FindPostmaster(spec.pg_data_dir)) co_return Result<>();
  auto stopped = co_await StopThroughPgctld(reactor, spec.grpc_socket);
  if (!stopped) co_return Fail(std::move(stopped), "stop PostgreSQL");
  co_return Result<>();
}

Awaitable<Result<>> AfterStop(Reactor& reactor, const ServiceSpec& spec) {
  if (spec.service != "pgctld") co_return Result<>();
  co_return co_await StopPostmaster(reactor, spec.pg_data_dir);
}

}  // namespace

std::optional<ProcessIdentity> FindPostmaster(const std::string& data_dir) {
  auto text = fs::ReadFile(data_dir + "/postmaster.pid");
  if (!text) return std::nullopt;
  pid_t pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  if (pid <= 1) return std::nullopt;
  // A postmaster's working directory is its data directory: a stranger that has the pid now is told apart by that.
  std::error_code error;
  const auto works_in = std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", pid), error);
  if (error || works_in != std::filesystem::weakly_canonical(data_dir, error)) return std::nullopt;
  auto identity = IdentifyProcess(pid);
  if (!identity || !IsRunning(*identity)) return std::nullopt;
  return std::move(*identity);
}

Awaitable<Result<>> StopPostmaster(Reactor& reactor, std::string data_dir) {
  const auto identity = FindPostmaster(data_dir);
  if (!identity) co_return Result<>();
  auto process = Process::Adopt(reactor, *identity);
  if (!process) co_return Result<>();
  (void)process->Signal(SIGINT);
  auto ended = co_await process->Wait(reactor.clock().After(kFastTime));
  if (ended) co_return Result<>();
  (void)process->Signal(SIGQUIT);
  ended = co_await process->Wait(reactor.clock().After(5s));
  if (!ended) {
    co_return Fail(Code::kDeadlineExceeded,
                   fmt::format("PostgreSQL (PID {}) in {} does not end", identity->pid, data_dir));
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
