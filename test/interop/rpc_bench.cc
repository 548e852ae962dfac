// Calls per CPU second of our RPC runtime and of grpc++ (test_interop_bench [rounds [milliseconds a run]]).
//
// Client and server are two processes; the processor time of both counts. The runs of the two implementations take
// turns, and the median of the rounds is what is printed. The last line is the floor: bare sockets.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string_view>
#include <vector>

#include "bench_side.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

double CpuSeconds(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double CpuSecondsOf(pid_t process) {
  clockid_t clock = 0;
  CHECK(clock_getcpuclockid(process, &clock) == 0);
  return CpuSeconds(clock);
}

struct Implementation {
  std::string_view name;
  void (*serve)(int port_fd);
  Cost (*run)(std::uint16_t port, pid_t server, const Load& load);
};

constexpr std::array kImplementations = {Implementation{"multigres", ServeOwn, RunOwn},
                                         Implementation{"grpc++", ServeGrpcxx, RunGrpcxx}};
constexpr Implementation kRaw = {"raw", ServeRaw, RunRaw};

// A server in a process of its own, which is this program again.
class ServerProcess {
 public:
  explicit ServerProcess(std::string_view name) {
    std::array<int, 2> port{};
    CHECK(pipe2(port.data(), O_CLOEXEC) == 0);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      CHECK(dup2(port[1], STDOUT_FILENO) == STDOUT_FILENO);
      const std::string argument(name);
      execl("/proc/self/exe", "test_interop_bench", "serve", argument.c_str(), nullptr);
      _exit(127);
    }
    close(port[1]);
    std::array<char, 16> text{};
    const ssize_t size = read(port[0], text.data(), text.size());
    CHECK(size > 0, "the server did not start");
    std::from_chars(text.data(), text.data() + size, port_);
    close(port[0]);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  std::uint16_t port() const { return port_; }

 private:
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
};

struct Figures {
  double calls_per_second = 0;
  double calls_per_cpu_second = 0;
};

double Median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

Figures Median(const std::vector<Cost>& costs) {
  std::vector<double> by_wall;
  std::vector<double> by_cpu;
  for (const Cost& cost : costs) {
    by_wall.push_back(static_cast<double>(cost.calls) / cost.wall_s);
    by_cpu.push_back(static_cast<double>(cost.calls) / cost.cpu_s);
  }
  return {Median(std::move(by_wall)), Median(std::move(by_cpu))};
}

void PrintRow(const Load& load, const Figures& own, const Figures& grpcxx) {
  fmt::print("{:<14} {:>9} {:>12.0f} {:>12.0f} {:>14.0f} {:>14.0f} {:>9.1f} {:>9.1f} {:>7.1f}\n",
             load.shape == Shape::kUnary ? "unary" : "server stream", load.in_flight, own.calls_per_second,
             grpcxx.calls_per_second, own.calls_per_cpu_second, grpcxx.calls_per_cpu_second,
             1e6 / own.calls_per_cpu_second, 1e6 / grpcxx.calls_per_cpu_second,
             own.calls_per_cpu_second / grpcxx.calls_per_cpu_second);
}

Cost RunOnce(const Implementation& implementation, const Load& load) {
  const ServerProcess server(implementation.name);
  return implementation.run(server.port(), server.pid(), load);
}

void Compare(int rounds, std::chrono::milliseconds duration) {
  std::vector<Load> loads;
  for (const Shape shape : {Shape::kServerStream, Shape::kUnary}) {
    for (const int in_flight : {1, 16, 64}) loads.push_back({shape, in_flight, duration});
  }
  std::array<std::vector<std::vector<Cost>>, kImplementations.size()> costs;
  costs.fill(std::vector<std::vector<Cost>>(loads.size()));
  std::vector<Cost> raw_costs;
  for (int round = 0; round < rounds; ++round) {
    raw_costs.push_back(RunOnce(kRaw, loads.front()));
    for (std::size_t load = 0; load < loads.size(); ++load) {
      for (std::size_t i = 0; i < kImplementations.size(); ++i) {
        costs[i][load].push_back(RunOnce(kImplementations[i], loads[load]));
      }
    }
  }
  fmt::print("{} rounds of {} ms, medians; {} byte requests, {} byte responses\n", rounds, duration.count(),
             SampleStreamRequest().ByteSizeLong(), SampleStreamResponse().ByteSizeLong());
  fmt::print("{:<14} {:>9} {:>25} {:>29} {:>19} {:>7}\n", "", "", "calls/s", "calls/CPU s", "CPU us/call", "");
  fmt::print("{:<14} {:>9} {:>12} {:>12} {:>14} {:>14} {:>9} {:>9} {:>7}\n", "shape", "in flight", "multigres",
             "grpc++", "multigres", "grpc++", "multigres", "grpc++", "ratio");
  for (std::size_t load = 0; load < loads.size(); ++load) {
    PrintRow(loads[load], Median(costs[0][load]), Median(costs[1][load]));
  }
  const Figures raw = Median(raw_costs);
  fmt::print("bare sockets, one exchange at a time: {:.0f} a second, {:.1f} us CPU each\n", raw.calls_per_second,
             1e6 / raw.calls_per_cpu_second);
}

}  // namespace

void Meter::Start() {
  cpu_begin_s_ = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) + CpuSecondsOf(server_);
  begin_ = std::chrono::steady_clock::now();
}

Cost Meter::Stop(std::uint64_t calls) const {
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin_;
  const double cpu_s = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) + CpuSecondsOf(server_) - cpu_begin_s_;
  return {calls, wall.count(), cpu_s};
}

::multipoolerservice::StreamExecuteRequest SampleStreamRequest() {
  ::multipoolerservice::StreamExecuteRequest request;
  request.set_query("SELECT abalance FROM pgbench_accounts WHERE aid = 8472");
  request.mutable_target()->set_table_group("default");
  request.mutable_target()->set_shard("0-inf");
  request.mutable_target()->set_database("postgres");
  request.mutable_target()->set_pooler_type(::clustermetadata::PRIMARY);
  request.mutable_options()->set_user("app");
  request.mutable_options()->set_client_connection_id(3 << 20 | 42);
  request.mutable_options()->set_passthrough_row(true);
  (*request.mutable_options()->mutable_session_settings())["application_name"] = "pgbench";
  return request;
}

::multipoolerservice::ExecuteQueryRequest SampleUnaryRequest() {
  const ::multipoolerservice::StreamExecuteRequest stream = SampleStreamRequest();
  ::multipoolerservice::ExecuteQueryRequest request;
  request.set_query(stream.query());
  *request.mutable_target() = stream.target();
  *request.mutable_options() = stream.options();
  return request;
}

::multipoolerservice::StreamExecuteResponse SampleStreamResponse() {
  ::multipoolerservice::StreamExecuteResponse response;
  ::query::QueryResult& result = *response.mutable_result()->mutable_result();
  ::query::Field& field = *result.add_fields();
  field.set_name("abalance");
  field.set_table_oid(16388);
  field.set_table_attribute_number(3);
  field.set_data_type_oid(23);
  field.set_data_type_size(4);
  field.set_type_modifier(-1);
  result.set_has_fields(true);
  result.set_passthrough_block(std::string("D\0\0\0\x0F\0\x01\0\0\0\x05-1234", 16));
  result.set_passthrough_row_count(1);
  result.set_command_tag("SELECT 1");
  return response;
}

::multipoolerservice::ExecuteQueryResponse SampleUnaryResponse() {
  ::multipoolerservice::ExecuteQueryResponse response;
  *response.mutable_result() = SampleStreamResponse().result().result();
  return response;
}

}  // namespace multigres::interop

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "serve") {
    for (const auto& implementation : multigres::interop::kImplementations) {
      if (implementation.name == arguments[1]) implementation.serve(STDOUT_FILENO);
    }
    if (multigres::interop::kRaw.name == arguments[1]) multigres::interop::kRaw.serve(STDOUT_FILENO);
    return 1;
  }
  const int rounds = argc < 2 ? 5 : std::atoi(argv[1]);
  const int milliseconds = argc < 3 ? 500 : std::atoi(argv[2]);
  multigres::interop::Compare(rounds, std::chrono::milliseconds(milliseconds));
  return 0;
}
