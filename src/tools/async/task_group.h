// The only code that starts background work: every task is named, cancelled and joined.
#pragma once

#include <exception>
#include <list>
#include <string>
#include <string_view>

#include "tools/async/awaitable.h"
#include "tools/async/event.h"

namespace multigres {

// Tasks of one owner on one reactor. Declared as the owner's last member and joined (co_await CancelAndJoin() or
// Join()) before it is destroyed.
//
// Cancel() makes the co_await that a task is in, and every further one, throw boost::system::system_error
// (operation_aborted), so the task unwinds; asynchronous clean-up begins with
// `co_await asio::this_coro::reset_cancellation_state();`. Any other exception out of a task ends the process.
class TaskGroup {
 public:
  explicit TaskGroup(Executor executor) : executor_(std::move(executor)) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  // Called on the group's reactor it runs the task at once, up to its first wait. After Cancel() a new task is
  // cancelled at that first wait.
  void Spawn(std::string_view name, Awaitable<void> task);
  void Cancel();
  Awaitable<void> Join();
  Awaitable<void> CancelAndJoin();

  std::size_t size() const { return tasks_.size(); }
  const Executor& executor() const { return executor_; }

 private:
  struct Task {
    std::string name;
    asio::cancellation_signal signal;
    bool* ended_while_starting = nullptr;
  };
  using Tasks = std::list<Task>;
  void Ended(Tasks::iterator task, std::exception_ptr error);

  Executor executor_;
  bool cancelled_ = false;
  Tasks tasks_;
  Event idle_;
};

// True if `error` is the unwinding of a cancelled task.
bool IsTaskCancellation(const std::exception_ptr& error);

}  // namespace multigres
