#include "test/sim/network.h"

namespace multigres::sim {

using std::chrono::milliseconds;

Duration Network::Delay() {
  if (random_.Below(1000) < static_cast<std::uint64_t>(weather.slow)) return milliseconds(random_.Between(5, 500));
  return milliseconds(random_.Between(1, 8));
}

void Network::Send(int from, int to, std::function<void()> deliver) {
  if (!Passes(from, to) || random_.Below(1000) < static_cast<std::uint64_t>(weather.lost)) return;
  if (random_.Below(1000) < static_cast<std::uint64_t>(weather.doubled)) {
    due_.emplace(clock_.Now() + Delay(), Message{from, to, deliver});
  }
  due_.emplace(clock_.Now() + Delay(), Message{from, to, std::move(deliver)});
}

void Network::Deliver() {
  while (!due_.empty() && due_.begin()->first <= clock_.Now()) {
    Message message = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    if (Passes(message.from, message.to)) message.deliver();
  }
}

}  // namespace multigres::sim
