#include "services/multipooler/grpcpoolerservice/statement_control.h"

#include "common/rpc/server.h"
#include "statementcontrol.pb.h"

namespace multigres::pooler::grpcpoolerservice {

Awaitable<Result<statementcontrol::CancelStatementResponse>> StatementControl::CancelStatement(
    rpc::ServerContext& context, const statementcontrol::CancelStatementRequest& request) {
  const CancelReason reason = request.timed_out() ? CancelReason::kDeadline : CancelReason::kCancelled;
  statementcontrol::CancelStatementResponse response;
  response.set_found(data_path_.PathOf(context.reactor()).running.Cancel(request.client_connection_id(), reason));
  co_return response;
}

}  // namespace multigres::pooler::grpcpoolerservice
