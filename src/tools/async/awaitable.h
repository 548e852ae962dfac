// The coroutine type of the project. A coroutine runs on one reactor (one thread) from begin to end.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace multigres {

namespace asio = boost::asio;

using Executor = asio::io_context::executor_type;

template <class T = void>
using Awaitable = asio::awaitable<T, Executor>;

// The completion token for Asio's own operations: co_await socket.async_connect(endpoint, kAwait).
inline constexpr asio::use_awaitable_t<Executor> kAwait;

}  // namespace multigres
