#include "tools/async/reactor.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <exception>

#include "tools/async/task_group.h"
#include "tools/clock/timer_wheel.h"
#include "tools/result/check.h"

namespace multigres {

TurnEndHook::~TurnEndHook() {
  if (reactor_ != nullptr) reactor_->hooks_[index_] = nullptr;
}

// A wheel driven by one Asio timer, armed for the next expiry only.
class Reactor::RealClock final : public Clock {
 public:
  explicit RealClock(asio::io_context& io) : wheel_(std::chrono::steady_clock::now()), timer_(io) {}

  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  WallTime WallNow() const override { return std::chrono::system_clock::now(); }
  Timer ScheduleAt(TimePoint at, std::move_only_function<void()> callback) override {
    const auto id = wheel_.Add(at, std::move(callback));
    if (at < armed_for_) Arm();
    return Timer(this, id);
  }

 private:
  void CancelTimer(std::uint64_t id) override { wheel_.Cancel(id); }

  // A cancelled timer leaves the alarm as it is: one idle wake-up is cheaper than re-arming on every cancel.
  void Arm() {
    const auto wake = wheel_.NextWake();
    if (!wake || *wake >= armed_for_) return;
    armed_for_ = *wake;
    timer_.expires_at(*wake);
    timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      armed_for_ = TimePoint::max();
      wheel_.Advance(Now());
      Arm();
    });
  }

  TimerWheel wheel_;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer_;
  TimePoint armed_for_ = TimePoint::max();
};

// A turn that never ends would never write. Enough for a batch, short enough for its first answer not to wait long.
constexpr int kMaxHandlersPerTurn = 256;

Reactor::Reactor() : real_clock_(std::make_unique<RealClock>(io_)), clock_(*real_clock_) {}

Reactor::Reactor(Clock& clock) : clock_(clock) {}

Reactor::~Reactor() = default;

void Reactor::Run() {
  auto work = asio::make_work_guard(io_);
  io_.restart();
  while (!stopped_.load(std::memory_order_relaxed)) {
    io_.run_one();  // sleeps only if nothing is ready
    for (int handlers = 0; handlers < kMaxHandlersPerTurn && io_.poll_one() > 0; ++handlers) {
    }
    RunHooks();
  }
}

bool Reactor::RunTurn() {
  io_.restart();
  const bool ran = io_.poll() > 0;
  const bool hooks = !hooks_.empty();
  RunHooks();
  return ran || hooks;
}

void Reactor::Stop() {
  asio::post(io_, [this] { stopped_.store(true, std::memory_order_relaxed); });
}

void Reactor::Post(std::move_only_function<void()> work) {
  asio::post(io_, std::move(work));
}

void Reactor::AtTurnEnd(TurnEndHook& hook) {
  if (hook.reactor_ != nullptr) return;
  hook.reactor_ = this;
  hook.index_ = hooks_.size();
  hooks_.push_back(&hook);
}

void Reactor::RunHooks() {
  // A hook may queue hooks, itself included.
  for (std::size_t i = 0; i < hooks_.size(); ++i) {
    TurnEndHook* hook = hooks_[i];
    if (hook == nullptr) continue;
    hooks_[i] = nullptr;
    hook->reactor_ = nullptr;
    hook->OnTurnEnd();
  }
  hooks_.clear();
}

void RunOnReactor(Reactor& reactor, Awaitable<void> main) {
  std::exception_ptr failure;
  asio::co_spawn(reactor.io(), std::move(main), [&](std::exception_ptr error) {
    failure = error;
    reactor.Stop();
  });
  reactor.Run();
  if (failure) std::rethrow_exception(failure);
}

ReactorPool::ReactorPool(std::size_t count) {
  if (count == 0) count = std::max<std::size_t>(1, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i) reactors_.push_back(std::make_unique<Reactor>());
  for (auto& reactor : reactors_) threads_.emplace_back([&reactor = *reactor] { reactor.Run(); });
}

ReactorPool::~ReactorPool() {
  StopAndJoin();
}

void ReactorPool::StopAndJoin() {
  for (auto& reactor : reactors_) reactor->Stop();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace multigres
