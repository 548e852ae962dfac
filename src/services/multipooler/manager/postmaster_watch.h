// Notices within milliseconds that the server behind this pooler has ended, by its process and not by its silence: a
// session that was terminated is no death, and a frozen server is none either.
#pragma once

#include <optional>
#include <string>

#include "tools/async/reactor.h"
#include "tools/process/process.h"

namespace multigres::pooler::manager {

// By postmaster.pid and a pidfd, so only for a server of this host whose processes this one can see; elsewhere probes
// and pgctld tell. One reactor.
class PostmasterWatch {
 public:
  PostmasterWatch(Reactor& reactor, std::string data_dir) : reactor_(reactor), data_dir_(std::move(data_dir)) {}

  enum class Sight : std::uint8_t {
    kRuns,     // a postmaster runs on the data directory
    kGone,     // none does
    kUnknown,  // none is seen, but one may run where this process can't see it
  };
  // Looks, unless the one that is watched still runs. Cheap.
  Sight Look();

  // Waits until the postmaster that the last Look() found has ended.
  Awaitable<void> WaitForEnd();

 private:
  Reactor& reactor_;
  const std::string data_dir_;
  std::optional<Process> postmaster_;
  bool seen_one_ = false;  // so they can be seen
};

}  // namespace multigres::pooler::manager
