#include "common/topoclient/registration.h"

#include <google/protobuf/util/time_util.h>

#include <set>

#include "clustermetadata.pb.h"

namespace multigres::topo {

using clustermetadata::MultiGateway;
using clustermetadata::MultiOrch;
using clustermetadata::MultiPooler;
using google::protobuf::util::TimeUtil;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kMaxPidPrefix = 2047;
constexpr Duration kGatewayRegistrationTime = 10s;
constexpr Duration kAttemptTime = 1s;
constexpr Duration kUnregisterTime = 1s;
constexpr Duration kPublishTime = 5s;

CallContext Within(Store& store, Duration time) {
  CallContext context;
  context.deadline = store.clock().After(time);
  return context;
}

std::string RegistrationFailure(const Error& error) {
  return "Failed to register component with topology: " + error.message();
}

// Is the record certainly not there? An error tells nothing.
template <class M>
Awaitable<bool> HasVanished(Store& store, clustermetadata::ID id) {
  auto stored = co_await GetComponent<M>(store, Within(store, kPublishTime), std::move(id));
  co_return !stored && Is(stored.error(), ErrorKind::kNoNode);
}

// The prefixes of all gateways but `self`, and self's own earlier one (0 = none).
struct PidPrefixes {
  std::set<std::uint32_t> taken;
  std::uint32_t own = 0;
};

Awaitable<Result<PidPrefixes>> ReadPidPrefixes(Store& store, CallContext context, const clustermetadata::ID& self) {
  auto gateways = co_await ListAllComponents<MultiGateway>(store, context);
  if (!gateways) co_return std::unexpected(std::move(gateways.error()));
  PidPrefixes prefixes;
  for (const auto& gateway : *gateways) {
    const auto& id = gateway.value.id();
    if (id.cell() == self.cell() && id.name() == self.name()) {
      prefixes.own = gateway.value.pid_prefix();
    } else {
      prefixes.taken.insert(gateway.value.pid_prefix());
    }
  }
  co_return prefixes;
}

Result<std::uint32_t> PickPidPrefix(Random& random, const PidPrefixes& prefixes) {
  if (prefixes.own != 0 && !prefixes.taken.contains(prefixes.own)) return prefixes.own;
  std::vector<std::uint32_t> unused;
  for (std::uint32_t prefix = 1; prefix <= kMaxPidPrefix; ++prefix) {
    if (!prefixes.taken.contains(prefix)) unused.push_back(prefix);
  }
  if (unused.empty()) return FailTopo(ErrorKind::kResourceExhausted, "all 2047 gateway pid prefixes are in use");
  return unused[random.Below(unused.size())];
}

// One attempt: choose, write, and look whether another gateway chose the same meanwhile.
Awaitable<Result<Record<MultiGateway>>> TryRegisterGateway(Store& store, CallContext context, MultiGateway gateway) {
  const clustermetadata::ID self = gateway.id();
  for (;;) {
    auto before = co_await ReadPidPrefixes(store, context, self);
    if (!before) co_return std::unexpected(std::move(before.error()));
    auto prefix = PickPidPrefix(store.random(), *before);
    if (!prefix) co_return std::unexpected(std::move(prefix.error()));
    gateway.set_pid_prefix(*prefix);
    auto version = co_await RegisterComponent<MultiGateway>(store, context, gateway);
    if (!version) co_return std::unexpected(std::move(version.error()));
    auto after = co_await ReadPidPrefixes(store, context, self);
    if (!after) co_return std::unexpected(std::move(after.error()));
    if (!after->taken.contains(*prefix)) {
      Record<MultiGateway> record;
      record.value = std::move(gateway);
      record.version = *version;
      co_return record;
    }
    store.logger().Info("gateway pid prefix taken by another, choosing again", {{"pid_prefix", *prefix}});
  }
}

}  // namespace

Awaitable<Result<Record<MultiGateway>>> RegisterGateway(Store& store, CallContext context, MultiGateway gateway) {
  context.deadline = context.deadline.Earlier(store.clock().After(kGatewayRegistrationTime));
  Jitter jitter(store.random(), 50ms, 1s);
  for (;;) {
    auto registered = co_await TryRegisterGateway(store, context, gateway);
    if (registered) co_return registered;
    const Duration delay = jitter.Next();
    const bool cancelled = context.cancel != nullptr && context.cancel->IsCancelled();
    if (cancelled || context.deadline.Passed(store.clock().Now() + delay)) {
      co_return std::unexpected(std::move(registered.error()).With("Failed to register component with topology"));
    }
    co_await SleepFor(store.clock(), delay);
  }
}

Awaitable<Result<>> UnregisterGateway(Store& store, Record<MultiGateway> record) {
  co_return co_await DeleteComponent<MultiGateway>(store, Within(store, kUnregisterTime), record.value.id(),
                                                   record.version);
}

GatewayKeeper::GatewayKeeper(Store& store, Record<MultiGateway> record, Duration interval)
    : store_(store),
      interval_(interval),
      record_(std::make_unique<Record<MultiGateway>>(std::move(record))),
      tasks_(store.reactor().executor()) {
  tasks_.Spawn("keep gateway registered", Keep());
}

GatewayKeeper::~GatewayKeeper() = default;

const MultiGateway& GatewayKeeper::gateway() const {
  return record_->value;
}

Awaitable<void> GatewayKeeper::Keep() {
  for (;;) {
    co_await SleepFor(store_.clock(), interval_);
    const bool vanished = co_await HasVanished<MultiGateway>(store_, record_->value.id());
    if (!vanished) continue;
    auto version = co_await CreateComponent<MultiGateway>(store_, Within(store_, kAttemptTime), record_->value);
    if (version) record_->version = *version;
    if (version) {
      store_.logger().Warn("the record had vanished from the topology, and is written again");
    } else {
      store_.logger().Warn("registration failed", {{"error", version.error()}});
    }
  }
}

Awaitable<Result<>> GatewayKeeper::Stop() {
  co_await tasks_.CancelAndJoin();
  co_return co_await UnregisterGateway(store_, *record_);
}

OrchRegistration::OrchRegistration(Store& store, MultiOrch orch, Duration interval)
    : store_(store),
      interval_(interval),
      orch_(std::make_unique<MultiOrch>(std::move(orch))),
      jitter_(store.random(), 10ms, 30s),
      tasks_(store.reactor().executor()) {}

OrchRegistration::~OrchRegistration() = default;

Awaitable<bool> OrchRegistration::Attempt() {
  auto version = co_await RegisterComponent<MultiOrch>(store_, Within(store_, kAttemptTime), *orch_);
  registered_ = version.has_value();
  status_ = version ? "" : RegistrationFailure(version.error());
  co_return registered_;
}

Awaitable<void> OrchRegistration::Start() {
  co_await Attempt();
  tasks_.Spawn("keep orch registered", Keep());
}

Awaitable<void> OrchRegistration::Keep() {
  for (;;) {
    co_await SleepFor(store_.clock(), registered_ ? interval_ : jitter_.Next());
    if (registered_) {
      const bool vanished = co_await HasVanished<MultiOrch>(store_, orch_->id());
      if (!vanished) continue;
      store_.logger().Warn("the record has vanished from the topology");
    }
    const bool registered = co_await Attempt();
    if (registered) jitter_.Reset();
    if (!registered) store_.logger().Warn("registration failed", {{"error", status_}});
  }
}

Awaitable<Result<>> OrchRegistration::Stop() {
  co_await tasks_.CancelAndJoin();
  co_return co_await DeleteComponent<MultiOrch>(store_, Within(store_, kUnregisterTime), orch_->id(), std::nullopt);
}

PoolerPublisher::PoolerPublisher(Store& store, MultiPooler pooler, Duration interval)
    : store_(store),
      interval_(interval),
      wanted_(std::make_unique<MultiPooler>(std::move(pooler))),
      jitter_(store.random(), 10ms, 30s),
      tasks_(store.reactor().executor()) {
  wanted_->set_serving_status(clustermetadata::DISABLED);
  wanted_->mutable_lifecycle_status()->set_status(clustermetadata::LIFECYCLE_STARTING);
  *wanted_->mutable_lifecycle_status()->mutable_updated() =
      TimeUtil::NanosecondsToTimestamp(store.clock().WallNow().time_since_epoch().count());
}

PoolerPublisher::~PoolerPublisher() = default;

Awaitable<Result<>> PoolerPublisher::Write(Duration timeout) {
  const CallContext context = Within(store_, timeout);
  // The clean-up of Publish() calls that come in while this write is on its way: they set dirty_ again.
  dirty_ = false;
  MultiPooler pooler = *wanted_;
  auto version = co_await RegisterComponent<MultiPooler>(store_, context, pooler);
  if (!version) {
    dirty_ = true;
    if (!registered_) status_ = RegistrationFailure(version.error());
    co_return std::unexpected(std::move(version.error()));
  }
  written_ = pooler.SerializeAsString();
  registered_ = true;
  status_.clear();
  co_return Result<>();
}

Awaitable<void> PoolerPublisher::Start() {
  auto written = co_await Write(kAttemptTime);
  if (!written) store_.logger().Warn("registration failed", {{"error", written.error()}});
  tasks_.Spawn("publish pooler record", Run());
}

void PoolerPublisher::Publish(const MultiPooler& pooler) {
  *wanted_ = pooler;
  dirty_ = true;
  changed_.Set();
}

Awaitable<void> PoolerPublisher::Run() {
  // A moment, not a time without changes: a leader tells of itself all the time.
  Deadline check = store_.clock().After(interval_);
  for (;;) {
    if (dirty_) {
      changed_.Reset();
      auto written = co_await Write(registered_ ? kPublishTime : kAttemptTime);
      if (!written) {
        store_.logger().Warn("publishing the pooler's record failed", {{"error", written.error()}});
        co_await SleepFor(store_.clock(), jitter_.Next());
        continue;
      }
      jitter_.Reset();
      continue;
    }
    const bool changed = co_await changed_.WaitUntil(store_.clock(), check);
    if (changed) {
      // Equal records are not written again.
      changed_.Reset();
      if (wanted_->SerializeAsString() == written_) dirty_ = false;
      continue;
    }
    // Somebody else may have changed or deleted what is stored.
    check = store_.clock().After(interval_);
    auto stored = co_await GetComponent<MultiPooler>(store_, Within(store_, kPublishTime), wanted_->id());
    if (stored && stored->value.SerializeAsString() == wanted_->SerializeAsString()) continue;
    if (stored || Is(stored.error(), ErrorKind::kNoNode)) dirty_ = true;
  }
}

Awaitable<Result<>> PoolerPublisher::Stop(std::string reason) {
  co_await tasks_.CancelAndJoin();
  wanted_->set_serving_status(clustermetadata::DISABLED);
  wanted_->set_type(clustermetadata::UNKNOWN);
  wanted_->clear_routing_state();
  auto& lifecycle = *wanted_->mutable_lifecycle_status();
  lifecycle.set_status(clustermetadata::LIFECYCLE_SHUTDOWN);
  lifecycle.set_reason(std::move(reason));
  *lifecycle.mutable_updated() = TimeUtil::NanosecondsToTimestamp(store_.clock().WallNow().time_since_epoch().count());
  co_return co_await Write(kUnregisterTime);
}

}  // namespace multigres::topo
