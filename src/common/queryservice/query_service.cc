#include "common/queryservice/query_service.h"

#include "multipoolerservice.pb.h"

namespace multigres::queryservice {

ExecuteOutcome::ExecuteOutcome() = default;
ExecuteOutcome::ExecuteOutcome(Result<> result, std::unique_ptr<query::ReservedState> state)
    : result(std::move(result)), reserved_state(std::move(state)) {}
ExecuteOutcome::ExecuteOutcome(ExecuteOutcome&&) noexcept = default;
ExecuteOutcome& ExecuteOutcome::operator=(ExecuteOutcome&&) noexcept = default;
ExecuteOutcome::~ExecuteOutcome() = default;

}  // namespace multigres::queryservice
