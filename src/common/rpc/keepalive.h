// Pings: ours to find out whether the peer is still there, and the limits on the peer's.
#pragma once

#include <functional>

#include "tools/clock/clock.h"

namespace multigres::rpc {

struct KeepaliveOptions {
  Duration time = Duration::zero();  // of silence before a ping; 0 = off
  Duration timeout = std::chrono::seconds(10);
  bool only_with_streams = true;
};

// Sends a ping when nothing has been received for a while, and gives up when nothing comes after it either.
class Keepalive {
 public:
  struct Actions {
    std::move_only_function<bool()> has_streams;
    std::move_only_function<void()> send_ping;
    std::move_only_function<void()> give_up;
  };
  Keepalive(Clock& clock, KeepaliveOptions options, Actions actions);

  void Start();
  void Stop() { timer_.Cancel(); }
  void OnBytesReceived() {
    active_ = true;
    if (waiting_) Start();
  }

 private:
  void Check();

  Clock& clock_;
  KeepaliveOptions options_;
  Actions actions_;
  bool active_ = false;   // since the last check
  bool waiting_ = false;  // for the answer to a ping
  Timer timer_;
};

// A server's defence against peers that ping too often (gRPC A8, A9): two strikes are forgiven.
class PingLimit {
 public:
  PingLimit(Duration min_interval, bool permit_without_streams)
      : min_interval_(min_interval), permit_without_streams_(permit_without_streams) {}

  // False = the connection is to be ended.
  bool OnPing(TimePoint now, bool has_streams);
  // Sending headers or data makes up for earlier pings.
  void OnOutput() {
    strikes_ = 0;
    last_ = TimePoint();
  }

 private:
  Duration min_interval_;
  bool permit_without_streams_;
  TimePoint last_;
  int strikes_ = 0;
};

}  // namespace multigres::rpc
