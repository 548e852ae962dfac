#include "common/rpc/keepalive.h"

namespace multigres::rpc {

namespace {
constexpr int kForgivenStrikes = 2;
constexpr Duration kIdleInterval = std::chrono::hours(2);
}  // namespace

Keepalive::Keepalive(Clock& clock, KeepaliveOptions options, Actions actions)
    : clock_(clock), options_(options), actions_(std::move(actions)) {}

void Keepalive::Start() {
  if (options_.time <= Duration::zero() || options_.time == Duration::max()) return;
  active_ = false;
  waiting_ = false;
  timer_ = clock_.Schedule(options_.time, [this] { Check(); });
}

void Keepalive::Check() {
  if (active_ || (options_.only_with_streams && !actions_.has_streams())) return Start();
  actions_.send_ping();
  waiting_ = true;
  timer_ = clock_.Schedule(options_.timeout, [this] { actions_.give_up(); });
}

bool PingLimit::OnPing(TimePoint now, bool has_streams) {
  const Duration interval = has_streams || permit_without_streams_ ? min_interval_ : kIdleInterval;
  const bool early = last_ != TimePoint() && now - last_ < interval;
  last_ = now;
  if (!early) return true;
  return ++strikes_ <= kForgivenStrikes;
}

}  // namespace multigres::rpc
