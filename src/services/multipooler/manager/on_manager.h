// A call's way to the manager's reactor and back.
#pragma once

#include "common/rpc/service.h"
#include "services/multipooler/manager/manager.h"

namespace multigres::pooler::manager {

// Runs `work(manager)` over there. UNAVAILABLE unless the manager is ready. What `work` captures must be its own.
template <class T>
Awaitable<Result<T>> OnManager(rpc::ServerContext& context, PoolerManager& manager,
                               std::move_only_function<Awaitable<Result<T>>(PoolerManager&)> work) {
  struct Call {
    PoolerManager& manager;
    std::move_only_function<Awaitable<Result<T>>(PoolerManager&)> work;
    Awaitable<Result<T>> operator()() {
      if (!manager.ready()) co_return Fail(Code::kUnavailable, "the pooler is not ready");
      co_return co_await work(manager);
    }
  };
  co_return co_await RunOn<Result<T>>(context.reactor(), manager.reactor(), Call{manager, std::move(work)});
}

}  // namespace multigres::pooler::manager
