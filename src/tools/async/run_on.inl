// RunOn(): the message between reactors. Part of tools/async/reactor.h.
#pragma once

#include <boost/asio/co_spawn.hpp>

#include <atomic>
#include <optional>
#include <type_traits>

#include "tools/async/event.h"
#include "tools/result/check.h"

namespace multigres {

template <class T>
Awaitable<T> RunOn(Reactor& here, Reactor& target, std::move_only_function<Awaitable<T>()> work) {
  using Stored = std::conditional_t<std::is_void_v<T>, bool, T>;
  struct State {
    std::move_only_function<Awaitable<T>()> work;
    std::optional<Stored> value;
    Event done;
  };
  // Shared: the caller may be cancelled while the work still runs over there.
  auto state = std::make_shared<State>();
  state->work = std::move(work);
  target.Post([state, &here, &target] {
    auto body = [](std::shared_ptr<State> state) -> Awaitable<void> {
      if constexpr (std::is_void_v<T>) {
        co_await state->work();
        state->value = true;
      } else {
        state->value = co_await state->work();
      }
    };
    asio::co_spawn(target.executor(), body(state), [state, &here](std::exception_ptr error) mutable {
      CHECK(!error, "exception in work passed to another reactor");
      here.Post([state = std::move(state)] { state->done.Set(); });
    });
  });
  co_await state->done.Wait();
  if constexpr (!std::is_void_v<T>) co_return std::move(*state->value);
}

}  // namespace multigres
