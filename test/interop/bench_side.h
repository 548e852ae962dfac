// What the benchmark of the RPC runtime runs on both implementations.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

#include "multipoolerservice.pb.h"

namespace multigres::interop {

enum class Shape : std::uint8_t { kUnary, kServerStream };

struct Load {
  Shape shape = Shape::kUnary;
  int in_flight = 1;
  std::chrono::milliseconds duration{500};
};

struct Cost {
  std::uint64_t calls = 0;
  double wall_s = 0;
  double cpu_s = 0;  // user and system time of client and server
};

// Starts and stops with the load, on the client.
class Meter {
 public:
  explicit Meter(pid_t server) : server_(server) {}
  void Start();
  Cost Stop(std::uint64_t calls) const;

 private:
  pid_t server_;
  double cpu_begin_s_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

// A short SELECT by primary key, as a gateway sends it, and its one row.
::multipoolerservice::StreamExecuteRequest SampleStreamRequest();
::multipoolerservice::ExecuteQueryRequest SampleUnaryRequest();
::multipoolerservice::StreamExecuteResponse SampleStreamResponse();
::multipoolerservice::ExecuteQueryResponse SampleUnaryResponse();

// Serve on a free port of 127.0.0.1, which is written to `port_fd` as text, until the process is killed.
void ServeOwn(int port_fd);
void ServeGrpcxx(int port_fd);
void ServeRaw(int port_fd);

// Keeps `load.in_flight` calls open for the duration, on one connection.
Cost RunOwn(std::uint16_t port, pid_t server, const Load& load);
Cost RunGrpcxx(std::uint16_t port, pid_t server, const Load& load);
// One exchange at a time, whatever the load says.
Cost RunRaw(std::uint16_t port, pid_t server, const Load& load);

}  // namespace multigres::interop
