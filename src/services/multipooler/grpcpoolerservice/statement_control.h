// StatementControl by gRPC: cancels that let the statement's answer through.
#pragma once

#include "services/multipooler/grpcpoolerservice/data_path.h"
#include "statementcontrol.rpc.h"

namespace multigres::pooler::grpcpoolerservice {

class StatementControl final : public statementcontrol::rpc::StatementControl {
 public:
  explicit StatementControl(PoolerDataPath& data_path) : data_path_(data_path) {}

  Awaitable<Result<statementcontrol::CancelStatementResponse>> CancelStatement(
      rpc::ServerContext& context, const statementcontrol::CancelStatementRequest& request) override;

 private:
  PoolerDataPath& data_path_;
};

}  // namespace multigres::pooler::grpcpoolerservice
