// What the tests of pgclient share. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "common/pgclient/query.h"
#include "test/support/postgres.h"
#include "tools/async/reactor.h"

namespace multigres::pgclient {

inline Bounds Within(Reactor& reactor, Duration timeout = std::chrono::seconds(20)) {
  return {reactor.clock().After(timeout), nullptr};
}

inline ConnectOptions OptionsFor(test::PostgresServer& server) {
  ConnectOptions options;
  options.address = UnixAddress{server.socket_path()};
  options.user = server.user();
  options.secret = server.password();
  return options;
}

// A connection that must succeed.
inline Awaitable<std::unique_ptr<Connection>> MustOpen(Reactor& reactor, ConnectOptions options) {
  auto opened = co_await Connection::Open(reactor, std::move(options), Within(reactor));
  EXPECT_TRUE(opened) << opened.error().ToString();
  if (!opened) std::abort();
  co_return std::move(*opened);
}

// The types of the messages up to the point where nothing is owed any more.
inline Awaitable<std::string> TypesToSync(Connection& connection) {
  std::string types;
  while (!connection.in_sync()) {
    auto message = co_await connection.NextReply(Within(connection.reactor()));
    if (!message) {
      ADD_FAILURE() << message.error().ToString();
      break;
    }
    types.push_back(message->type);
  }
  co_return types;
}

// Runs a test's body on a reactor of its own.
using Body = std::function<Awaitable<void>(Reactor&)>;
inline void OnReactor(Body body) {
  Reactor reactor;
  RunOnReactor(reactor, body(reactor));
}

}  // namespace multigres::pgclient
