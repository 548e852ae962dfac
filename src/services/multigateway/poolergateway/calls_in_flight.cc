#include "services/multigateway/poolergateway/calls_in_flight.h"

#include "common/rpc/channel.h"

namespace multigres::gateway::poolergateway {

CallsInFlight::Call::Call(CallsInFlight& calls, rpc::ClientCall& call, bool tracked)
    : call_(call), calls_(tracked ? &calls : nullptr) {
  if (!tracked) return;
  next_ = calls.first_;
  if (next_ != nullptr) next_->previous_ = this;
  calls.first_ = this;
}

CallsInFlight::Call::~Call() {
  if (calls_ == nullptr) return;
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ != nullptr ? previous_->next_ : calls_->first_) = next_;
}

// Cancel() only takes notes: its call is woken, and leaves, in a later turn.
void CallsInFlight::Abandon(bool all) {
  for (Call* each = first_; each != nullptr; each = each->next_) {
    if (each->abandoned_) continue;
    if (all || each->marked_) {
      each->abandoned_ = true;
      each->call_.Cancel();
    }
    each->marked_ = true;
  }
}

}  // namespace multigres::gateway::poolergateway
