#include "services/multipooler/grpcpoolerservice/running_statements.h"

namespace multigres::pooler::grpcpoolerservice {

RunningStatements::Entry::Entry(RunningStatements& running, std::uint32_t client_connection_id, CancelToken& call)
    : running_(running),
      client_connection_id_(client_connection_id),
      call_(call.OnCancel([this](CancelReason reason) { cancel_.Cancel(reason); })),
      next_(running.first_) {
  if (next_ != nullptr) next_->previous_ = this;
  running_.first_ = this;
}

RunningStatements::Entry::~Entry() {
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ != nullptr ? previous_->next_ : running_.first_) = next_;
}

bool RunningStatements::Cancel(std::uint32_t client_connection_id, CancelReason reason) {
  if (client_connection_id == 0) return false;
  bool found = false;
  for (Entry* each = first_; each != nullptr; each = each->next_) {
    if (each->client_connection_id_ != client_connection_id) continue;
    each->cancel_.Cancel(reason);
    found = true;
  }
  return found;
}

}  // namespace multigres::pooler::grpcpoolerservice
