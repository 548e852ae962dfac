// Free TCP ports handed out so that test programs running at the same time don't get the same one.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "tools/result/error.h"

namespace multigres::portpool {

// A loopback port that was free a moment ago. RESOURCE_EXHAUSTED if there is none.
Result<std::uint16_t> FindFreePort();

// The ports that are given out.
class PortPool {
 public:
  explicit PortPool(std::function<Result<std::uint16_t>()> find = FindFreePort) : find_(std::move(find)) {}
  // A free port that nobody has. ABORTED if the one found is somebody's: try again.
  Result<std::uint16_t> Allocate();
  void Free(std::uint16_t port) { taken_.erase(port); }
  std::size_t size() const { return taken_.size(); }

 private:
  std::function<Result<std::uint16_t>()> find_;
  std::set<std::uint16_t> taken_;
};

// One client of the pool. What it holds goes back when it is destroyed.
class PortPoolSession {
 public:
  explicit PortPoolSession(PortPool& pool) : pool_(pool) {}
  ~PortPoolSession();
  PortPoolSession(const PortPoolSession&) = delete;
  PortPoolSession& operator=(const PortPoolSession&) = delete;

  // The answer to a line of the protocol; empty = none.
  //   PING -> PONG;  ALLOC -> PORT <n>, or ERR port collision, retry;  RETURN <n> -> OK
  //   ERR missing port | ERR invalid port | ERR unknown command: X
  std::string Answer(std::string_view line);

 private:
  std::string Return(std::string_view argument);

  PortPool& pool_;
  std::set<std::uint16_t> held_;
};

}  // namespace multigres::portpool
