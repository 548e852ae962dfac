#include "tools/async/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "tools/result/check.h"

namespace multigres {

bool IsTaskCancellation(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

TaskGroup::~TaskGroup() {
  CHECK(tasks_.empty(), tasks_.front().name);
}

void TaskGroup::Spawn(std::string_view name, Awaitable<void> task) {
  auto it = tasks_.emplace(tasks_.end());
  it->name = name;
  bool ended = false;
  it->ended_while_starting = &ended;
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(it->signal.slot(),
                                              [this, it](std::exception_ptr error) { Ended(it, std::move(error)); }));
  if (ended) return;
  it->ended_while_starting = nullptr;
  if (cancelled_) it->signal.emit(asio::cancellation_type::terminal);
}

void TaskGroup::Ended(Tasks::iterator task, std::exception_ptr error) {
  if (error && !IsTaskCancellation(error)) {
    std::string text = "task " + task->name + " ended by an exception";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      text.append(": ").append(e.what());
    } catch (...) {
      text.append(" that isn't a std::exception");
    }
    CHECK(false, text);
  }
  if (task->ended_while_starting != nullptr) *task->ended_while_starting = true;
  tasks_.erase(task);
  if (tasks_.empty()) idle_.Pulse();
}

void TaskGroup::Cancel() {
  cancelled_ = true;
  // Emitting may end a task at once, which takes it off the list.
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    auto next = std::next(it);
    it->signal.emit(asio::cancellation_type::terminal);
    it = next;
  }
}

Awaitable<void> TaskGroup::Join() {
  while (!tasks_.empty()) co_await idle_.Wait();
}

Awaitable<void> TaskGroup::CancelAndJoin() {
  co_await asio::this_coro::reset_cancellation_state();
  Cancel();
  co_await Join();
}

}  // namespace multigres
