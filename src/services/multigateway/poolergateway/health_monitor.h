// Keeps a health stream open to every pooler and tells what they say.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "services/multigateway/poolergateway/pooler_record.h"
#include "tools/async/cancel_token.h"
#include "tools/async/task_group.h"
#include "tools/clock/clock.h"
#include "tools/log/logger.h"
#include "tools/random/random.h"

namespace multipoolerservice {
class StreamPoolerHealthResponse;
}

namespace multigres::gateway::poolergateway {

// Where health streams come from: poolers by gRPC, or a test.
class HealthSource {
 public:
  class Stream {
   public:
    virtual ~Stream() = default;
    // False or an error = the stream is over.
    virtual Awaitable<Result<bool>> Read(multipoolerservice::StreamPoolerHealthResponse& message) = 0;
    // Pending and later reads fail.
    virtual void Cancel() = 0;
  };
  virtual ~HealthSource() = default;
  // Waits for a connection as long as it takes.
  virtual std::unique_ptr<Stream> Open(const PoolerRecord& pooler) = 0;
  // Nothing will be opened to it any more.
  virtual void Forget(std::string_view /*pooler_id*/) {}
};

struct HealthMonitorOptions {
  // Until the pooler recommends another.
  Duration staleness_timeout = std::chrono::seconds(60);
  // A pooler that was restarted is back within a moment, and its clients wait for that.
  Duration backoff_base = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(60);
};

// Lives on one reactor. A stream that ends, or from which nothing has come for the staleness timeout, makes its pooler
// not live (and disabled; the rest of what it said is kept) and is opened again after a delay with full jitter, which
// any message resets.
class HealthMonitor {
 public:
  using Report = std::function<void(const std::string& pooler_id, const PoolerHealth& health)>;

  HealthMonitor(Executor executor, Clock& clock, Random& random, HealthSource& source, Logger logger, Report report,
                HealthMonitorOptions options = {});
  ~HealthMonitor();

  // A changed record begins anew.
  void Watch(const PoolerRecord& pooler);
  void Unwatch(std::string_view pooler_id);
  Awaitable<void> Stop();

 private:
  struct Watched;
  Awaitable<void> Follow(std::shared_ptr<Watched> watched);
  // One stream, from its opening to its end.
  Awaitable<void> FollowStream(Watched& watched);
  void Take(Watched& watched, const multipoolerservice::StreamPoolerHealthResponse& message);

  Clock& clock_;
  Random& random_;
  HealthSource& source_;
  Logger logger_;
  Report report_;
  HealthMonitorOptions options_;
  std::map<std::string, std::shared_ptr<Watched>, std::less<>> watched_;
  TaskGroup tasks_;
};

}  // namespace multigres::gateway::poolergateway
