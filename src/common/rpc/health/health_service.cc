#include "common/rpc/health/health_service.h"

#include <algorithm>

#include "grpc/health/v1/health.pb.h"
#include "tools/async/event.h"

namespace multigres::rpc::health {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

// One Watch(); `changed` belongs to its reactor.
struct HealthService::Watcher {
  explicit Watcher(Reactor& reactor) : reactor(reactor) {}
  Reactor& reactor;
  Event changed;
};

class HealthService::Registration {
 public:
  Registration(HealthService& service, std::shared_ptr<Watcher> watcher) : service_(service) {
    const std::lock_guard lock(service_.mutex_);
    it_ = service_.watchers_.insert(service_.watchers_.end(), std::move(watcher));
  }
  ~Registration() {
    const std::lock_guard lock(service_.mutex_);
    service_.watchers_.erase(it_);
  }

 private:
  HealthService& service_;
  std::list<std::shared_ptr<Watcher>>::iterator it_;
};

void HealthService::SetServing(bool serving) {
  if (serving_.exchange(serving) == serving) return;
  const std::lock_guard lock(mutex_);
  for (const auto& watcher : watchers_) {
    watcher->reactor.Post([watcher] { watcher->changed.Set(); });
  }
}

bool HealthService::Knows(std::string_view service) const {
  return service.empty() ||
         std::ranges::any_of(server_.services(), [&](Service* known) { return known->full_name() == service; });
}

Awaitable<Result<HealthCheckResponse>> HealthService::Check(ServerContext&, const HealthCheckRequest& request) {
  if (!Knows(request.service())) co_return Fail(Code::kNotFound, "unknown service " + request.service());
  HealthCheckResponse response;
  response.set_status(serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  co_return response;
}

Awaitable<Result<>> HealthService::Watch(ServerContext& context, const HealthCheckRequest& request,
                                         ServerWriter<HealthCheckResponse>& writer) {
  auto watcher = std::make_shared<Watcher>(context.reactor());
  const Registration registration(*this, watcher);
  const auto cancelled = context.cancel().OnCancel([&](CancelReason) { watcher->changed.Set(); });
  auto told = HealthCheckResponse::UNKNOWN;
  while (!context.cancel().IsCancelled()) {
    watcher->changed.Reset();
    auto now = serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
    if (!Knows(request.service())) now = HealthCheckResponse::SERVICE_UNKNOWN;
    if (now != told) {
      HealthCheckResponse response;
      response.set_status(now);
      auto written = co_await writer.Write(response);
      if (!written) co_return written;
      told = now;
    }
    co_await watcher->changed.Wait();
  }
  co_return Fail(Code::kCanceled, "watch cancelled");
}

}  // namespace multigres::rpc::health
