// The contract test of Connection: every backend's test program includes this once and instantiates ConnectionContract
// with a maker of its own.
#pragma once

#include <gtest/gtest.h>

#include "common/topoclient/connection.h"
#include "common/topoclient/test_macros.h"
#include "tools/async/reactor.h"
#include "tools/async/task_group.h"

namespace multigres::topo {

// A store that starts empty for each test.
class ContractStore {
 public:
  virtual ~ContractStore() = default;
  // A new connection to the store.
  virtual std::unique_ptr<Connection> Connect() = 0;
  // The shortest lease that the store grants.
  virtual Duration shortest_ttl() const = 0;
};
using MakeContractStore = std::function<std::unique_ptr<ContractStore>(Reactor&)>;

class ConnectionContract : public testing::TestWithParam<MakeContractStore> {
 protected:
  struct World {
    Reactor& reactor;
    ContractStore& store;
    Connection& a;
    Connection& b;
    CallContext Soon(Duration time = std::chrono::seconds(5)) {
      CallContext context;
      context.deadline = reactor.clock().After(time);
      return context;
    }
  };

  void Run(Awaitable<void> (*body)(World&)) {
    Reactor reactor;
    auto store = GetParam()(reactor);
    ASSERT_NE(store, nullptr);
    RunOnReactor(reactor, Main(reactor, *store, body));
  }

 private:
  static Awaitable<void> Main(Reactor& reactor, ContractStore& store, Awaitable<void> (*body)(World&)) {
    auto a = store.Connect();
    auto b = store.Connect();
    World world{reactor, store, *a, *b};
    co_await body(world);
    co_await a->Close();
    co_await b->Close();
  }
};

TEST_P(ConnectionContract, CreateFailsOnAnExistingKey) {
  Run([](World& w) -> Awaitable<void> {
    auto version = co_await w.a.Create({}, "cells/zone1/Cell", "one");
    CO_ASSERT(version);
    EXPECT_GT(*version, 0);
    auto again = co_await w.b.Create({}, "cells/zone1/Cell", "two");
    EXPECT_KIND(again, kNodeExists);
    EXPECT_EQ(again.error().message(), "topo error [0]: node already exists: cells/zone1/Cell");
    auto read = co_await w.b.Get({}, "cells/zone1/Cell");
    CO_ASSERT(read);
    EXPECT_EQ(read->contents, "one");
    EXPECT_EQ(read->version, *version);
  });
}

TEST_P(ConnectionContract, GetOfAnAbsentKeyOrOfADirectoryIsNoNode) {
  Run([](World& w) -> Awaitable<void> {
    auto absent = co_await w.a.Get({}, "cells/zone1/Cell");
    EXPECT_KIND(absent, kNoNode);
    EXPECT_EQ(absent.error().message(), "topo error [1]: node doesn't exist: cells/zone1/Cell");
    (void)co_await w.a.Create({}, "cells/zone1/Cell", "one");
    auto directory = co_await w.a.Get({}, "cells/zone1");
    EXPECT_KIND(directory, kNoNode);
  });
}

TEST_P(ConnectionContract, UpdateComparesVersionsAndUpsertsWithoutOne) {
  Run([](World& w) -> Awaitable<void> {
    auto absent = co_await w.a.Update({}, "k", "x", Version{5});
    EXPECT_KIND(absent, kBadVersion);
    auto first = co_await w.a.Update({}, "k", "one", std::nullopt);
    CO_ASSERT(first);
    auto second = co_await w.b.Update({}, "k", "two", *first);
    CO_ASSERT(second);
    EXPECT_GT(*second, *first);
    auto stale = co_await w.a.Update({}, "k", "three", *first);
    EXPECT_KIND(stale, kBadVersion);
    EXPECT_EQ(stale.error().message(), "topo error [5]: bad node version: k");
    auto read = co_await w.a.Get({}, "k");
    CO_ASSERT(read);
    EXPECT_EQ(read->contents, "two");
    EXPECT_EQ(read->version, *second);
  });
}

TEST_P(ConnectionContract, DeleteComparesVersions) {
  Run([](World& w) -> Awaitable<void> {
    auto absent = co_await w.a.Delete({}, "k", std::nullopt);
    EXPECT_KIND(absent, kNoNode);
    auto absent_version = co_await w.a.Delete({}, "k", Version{3});
    EXPECT_KIND(absent_version, kNoNode);
    auto version = co_await w.a.Create({}, "k", "one");
    CO_ASSERT(version);
    auto stale = co_await w.a.Delete({}, "k", *version - 1);
    EXPECT_KIND(stale, kBadVersion);
    auto right = co_await w.a.Delete({}, "k", *version);
    EXPECT_TRUE(right) << Explain(right);
    auto gone = co_await w.a.Get({}, "k");
    EXPECT_KIND(gone, kNoNode);
  });
}

TEST_P(ConnectionContract, ListTakesARawPrefix) {
  Run([](World& w) -> Awaitable<void> {
    auto none = co_await w.a.List({}, "poolers/");
    EXPECT_KIND(none, kNoNode);
    (void)co_await w.a.Create({}, "poolers/b/Pooler", "2");
    auto version = co_await w.a.Create({}, "poolers/a/Pooler", "1");
    (void)co_await w.a.Create({}, "poolersX", "3");
    auto all = co_await w.b.List({}, "poolers");
    CO_ASSERT(all && all->size() == 3);
    EXPECT_EQ((*all)[0].key, "poolers/a/Pooler");
    EXPECT_EQ((*all)[0].contents, "1");
    EXPECT_EQ((*all)[0].version, *version);
    EXPECT_FALSE((*all)[0].leased);
    EXPECT_EQ((*all)[2].key, "poolersX");
    auto keys = co_await w.b.List({}, "poolers/", Connection::ListWhat::kKeysOnly);
    CO_ASSERT(keys && keys->size() == 2);
    EXPECT_EQ((*keys)[1].contents, "");
  });
}

TEST_P(ConnectionContract, ListDirGivesSortedUniqueChildrenWithTheirKind) {
  Run([](World& w) -> Awaitable<void> {
    auto none = co_await ListDir(w.a, {}, "databases");
    EXPECT_KIND(none, kNoNode);
    (void)co_await w.a.Create({}, "databases/z/Database", "");
    (void)co_await w.a.Create({}, "databases/a/Database", "");
    (void)co_await w.a.Create({}, "databases/a/default/0-inf/ShardInitClaim", "");
    LockRequest exact;
    exact.path = "databases/lock";
    exact.mode = LockMode::kExactKey;
    auto lock = co_await w.a.AcquireLock({}, exact);
    CO_ASSERT(lock);
    auto entries = co_await ListDir(w.b, {}, "databases");
    CO_ASSERT(entries && entries->size() == 3);
    EXPECT_EQ((*entries)[0].name, "a");
    EXPECT_TRUE((*entries)[0].is_directory);
    EXPECT_EQ((*entries)[1].name, "lock");
    EXPECT_FALSE((*entries)[1].is_directory);
    EXPECT_TRUE((*entries)[1].ephemeral);
    EXPECT_EQ((*entries)[2].name, "z");
    (void)co_await (*lock)->Unlock({});
  });
}

TEST_P(ConnectionContract, APassedDeadlineAndACancelledTokenAreToldApart) {
  Run([](World& w) -> Awaitable<void> {
    (void)co_await w.a.Create({}, "k", "one");
    CallContext late;
    late.deadline = Deadline(w.reactor.clock().Now() - std::chrono::seconds(1));
    auto timeout = co_await w.a.Get(late, "k");
    EXPECT_KIND(timeout, kTimeout);
    CancelToken token;
    token.Cancel(CancelReason::kCancelled);
    CallContext cancelled;
    cancelled.cancel = &token;
    auto interrupted = co_await w.a.Get(cancelled, "k");
    EXPECT_KIND(interrupted, kInterrupted);
  });
}

// Locks.

inline LockRequest LockOf(std::string path, LockMode mode = LockMode::kQueue) {
  LockRequest request;
  request.path = std::move(path);
  request.contents = LockContents("test", {});
  request.mode = mode;
  request.require_directory = false;
  return request;
}

TEST_P(ConnectionContract, QueueLockNeedsADirectoryUnlessNamed) {
  Run([](World& w) -> Awaitable<void> {
    LockRequest plain = LockOf("databases/db");
    plain.require_directory = true;
    auto missing = co_await w.a.AcquireLock(w.Soon(), plain);
    EXPECT_KIND(missing, kNoNode);
    auto nothing = co_await w.a.List({}, "");
    EXPECT_KIND(nothing, kNoNode);  // nothing stays behind
    auto named = co_await w.a.AcquireLock(w.Soon(), LockOf("databases/db"));
    CO_ASSERT(named);
    auto released = co_await (*named)->Unlock({});
    EXPECT_TRUE(released);
  });
}

struct Turn {
  bool acquired = false;
  bool ended = false;
};
inline Awaitable<void> LockThenUnlock(Connection& connection, CallContext context, Turn& turn) {
  auto lock = co_await connection.AcquireLock(context, LockOf("databases/db"));
  turn.acquired = lock.has_value();
  if (lock) (void)co_await (*lock)->Unlock({});
  turn.ended = true;
}

TEST_P(ConnectionContract, QueueLocksAreHeldOneAtATime) {
  Run([](World& w) -> Awaitable<void> {
    auto first = co_await w.a.AcquireLock(w.Soon(), LockOf("databases/db"));
    CO_ASSERT(first);
    Turn turn;
    TaskGroup tasks(w.reactor.executor());
    tasks.Spawn("second", LockThenUnlock(w.b, w.Soon(), turn));
    co_await SleepFor(w.reactor.clock(), std::chrono::milliseconds(30));
    EXPECT_FALSE(turn.acquired);
    auto check = co_await (*first)->Check({});
    EXPECT_TRUE(check) << Explain(check);
    auto unlocked = co_await (*first)->Unlock({});
    EXPECT_TRUE(unlocked) << Explain(unlocked);
    co_await tasks.Join();
    EXPECT_TRUE(turn.acquired);
  });
}

TEST_P(ConnectionContract, WaitingForALockEndsAtTheDeadlineOrByCancelAndLeavesNothingBehind) {
  Run([](World& w) -> Awaitable<void> {
    auto holder = co_await w.a.AcquireLock(w.Soon(), LockOf("databases/db"));
    CO_ASSERT(holder);
    auto late = co_await w.b.AcquireLock(w.Soon(std::chrono::milliseconds(100)), LockOf("databases/db"));
    EXPECT_KIND(late, kTimeout);
    CancelToken token;
    CallContext context = w.Soon();
    context.cancel = &token;
    Turn turn;
    TaskGroup tasks(w.reactor.executor());
    tasks.Spawn("cancelled", LockThenUnlock(w.b, context, turn));
    co_await SleepFor(w.reactor.clock(), std::chrono::milliseconds(50));
    token.Cancel(CancelReason::kCancelled);
    co_await tasks.Join();
    EXPECT_FALSE(turn.acquired);
    auto keys = co_await w.a.List({}, "databases/db/locks/");
    CO_ASSERT(keys);
    EXPECT_EQ(keys->size(), 1u);
    EXPECT_EQ((*keys)[0].key, (*holder)->key());
    EXPECT_TRUE((*keys)[0].leased);
    (void)co_await (*holder)->Unlock({});
  });
}

TEST_P(ConnectionContract, TryLockFailsAtOnceIfLocked) {
  Run([](World& w) -> Awaitable<void> {
    auto first = co_await w.a.AcquireLock(w.Soon(), LockOf("databases/db", LockMode::kTry));
    CO_ASSERT(first);
    auto second = co_await w.b.AcquireLock(w.Soon(), LockOf("databases/db", LockMode::kTry));
    EXPECT_KIND(second, kNodeExists);
    (void)co_await (*first)->Unlock({});
    auto third = co_await w.b.AcquireLock(w.Soon(), LockOf("databases/db", LockMode::kTry));
    CO_ASSERT(third);
    (void)co_await (*third)->Unlock({});
  });
}

TEST_P(ConnectionContract, ASecondUnlockFailsAndFreesNobodyElsesLock) {
  Run([](World& w) -> Awaitable<void> {
    auto first = co_await w.a.AcquireLock(w.Soon(), LockOf("lock", LockMode::kExactKey));
    CO_ASSERT(first);
    (void)co_await (*first)->Unlock({});
    auto second = co_await w.b.AcquireLock(w.Soon(), LockOf("lock", LockMode::kExactKey));
    CO_ASSERT(second);
    auto again = co_await (*first)->Unlock({});
    EXPECT_KIND(again, kNoNode);
    auto check = co_await (*second)->Check({});
    EXPECT_TRUE(check) << Explain(check);
    auto stale = co_await (*first)->Check({});
    EXPECT_FALSE(stale);
    (void)co_await (*second)->Unlock({});
  });
}

TEST_P(ConnectionContract, AnExactKeyIsCreatedOrRefused) {
  Run([](World& w) -> Awaitable<void> {
    auto first = co_await w.a.AcquireLock(w.Soon(), LockOf("backups/db/lock", LockMode::kExactKey));
    CO_ASSERT(first);
    EXPECT_EQ((*first)->key(), "backups/db/lock");
    auto second = co_await w.b.AcquireLock(w.Soon(), LockOf("backups/db/lock", LockMode::kExactKey));
    EXPECT_KIND(second, kNodeExists);
    auto read = co_await w.b.Get({}, "backups/db/lock");
    CO_ASSERT(read);
    EXPECT_TRUE(read->contents.starts_with("{\n  \"Action\": \"test\",\n  \"HostName\": ")) << read->contents;
    (void)co_await (*first)->Unlock({});
  });
}

TEST_P(ConnectionContract, RevokingALockTellsItsHolder) {
  Run([](World& w) -> Awaitable<void> {
    LockRequest request = LockOf("backups/db/lock", LockMode::kExactKey);
    request.ttl = w.store.shortest_ttl();
    auto lock = co_await w.a.AcquireLock(w.Soon(), request);
    CO_ASSERT(lock);
    auto revoked = co_await w.b.RevokeLock({}, "backups/db/lock");
    EXPECT_TRUE(revoked) << Explain(revoked);
    auto nobody = co_await w.b.RevokeLock({}, "backups/db/lock");
    EXPECT_TRUE(nobody) << Explain(nobody);
    const bool noticed = co_await (*lock)->lost().WaitUntil(w.reactor.clock(), w.Soon().deadline);
    EXPECT_TRUE(noticed);
    auto check = co_await (*lock)->Check({});
    EXPECT_FALSE(check);
    auto unlock = co_await (*lock)->Unlock({});
    EXPECT_KIND(unlock, kNoNode);
  });
}

TEST_P(ConnectionContract, AHeldLockOutlivesItsTtlAndAnAbandonedOneDoesNot) {
  Run([](World& w) -> Awaitable<void> {
    LockRequest request = LockOf("backups/db/lock", LockMode::kExactKey);
    request.ttl = w.store.shortest_ttl();
    auto lock = co_await w.a.AcquireLock(w.Soon(), request);
    CO_ASSERT(lock);
    // Nobody calls Check(): the lease lives on by itself.
    const bool lost =
        co_await (*lock)->lost().WaitUntil(w.reactor.clock(), w.reactor.clock().After(5 * w.store.shortest_ttl() / 2));
    EXPECT_FALSE(lost);
    auto still = co_await w.b.AcquireLock(w.Soon(), request);
    EXPECT_KIND(still, kNodeExists);
    lock->reset();
    Result<std::unique_ptr<Lock>> next = Fail(Code::kUnknown, "not tried");
    const Deadline limit = w.Soon(5 * w.store.shortest_ttl() + std::chrono::seconds(1)).deadline;
    while (!next && !limit.Passed(w.reactor.clock().Now())) {
      co_await SleepFor(w.reactor.clock(), std::chrono::milliseconds(20));
      next = co_await w.b.AcquireLock(w.Soon(), request);
    }
    EXPECT_TRUE(next) << Explain(next);
    if (next) (void)co_await (*next)->Unlock({});
  });
}

// Watches.

TEST_P(ConnectionContract, WatchOfAKeyGivesItsValueItsChangesAndItsEnd) {
  Run([](World& w) -> Awaitable<void> {
    auto none = co_await w.a.OpenWatch(w.Soon(), "k", WatchScope::kKey);
    EXPECT_KIND(none, kNoNode);
    auto version = co_await w.b.Create({}, "k", "one");
    auto watch = co_await w.a.OpenWatch(w.Soon(), "k", WatchScope::kKey);
    CO_ASSERT(watch && (*watch)->initial().size() == 1);
    EXPECT_EQ((*watch)->initial()[0].contents, "one");
    EXPECT_EQ((*watch)->initial()[0].version, *version);
    auto updated = co_await w.b.Update({}, "k", "two", std::nullopt);
    (void)co_await w.b.Create({}, "kk", "other");
    auto event = co_await (*watch)->Next();
    while (event && event->contents == "one") event = co_await (*watch)->Next();  // repetitions are legal
    CO_ASSERT(event && !event->error);
    EXPECT_EQ(event->path, "k");
    EXPECT_EQ(event->contents, "two");
    EXPECT_EQ(event->version, *updated);
    (void)co_await w.b.Delete({}, "k", std::nullopt);
    event = co_await (*watch)->Next();
    CO_ASSERT(event && event->error);
    EXPECT_TRUE(Is(*event->error, ErrorKind::kNoNode));
    auto end = co_await (*watch)->Next();
    EXPECT_FALSE(end);
  });
}

TEST_P(ConnectionContract, WatchOfADirectoryStartsWithASnapshotWhoseItemsHaveTheirOwnVersions) {
  Run([](World& w) -> Awaitable<void> {
    auto one = co_await w.b.Create({}, "poolers/a/Pooler", "1");
    auto two = co_await w.b.Create({}, "poolers/b/Pooler", "2");
    (void)co_await w.b.Create({}, "poolersX/c", "3");
    auto watch = co_await w.a.OpenWatch(w.Soon(), "poolers", WatchScope::kDirectory);
    CO_ASSERT(watch && (*watch)->initial().size() == 2);
    EXPECT_EQ((*watch)->initial()[0].path, "poolers/a/Pooler");
    EXPECT_EQ((*watch)->initial()[0].version, *one);
    EXPECT_EQ((*watch)->initial()[1].version, *two);
  });
}

TEST_P(ConnectionContract, WatchOfADirectoryGoesOnAfterDeletions) {
  Run([](World& w) -> Awaitable<void> {
    auto watch = co_await w.a.OpenWatch(w.Soon(), "poolers", WatchScope::kDirectory);
    CO_ASSERT(watch && (*watch)->initial().empty());
    (void)co_await w.b.Create({}, "poolers/a/Pooler", "1");
    (void)co_await w.b.Delete({}, "poolers/a/Pooler", std::nullopt);
    (void)co_await w.b.Update({}, "poolers/b/Pooler", "2", std::nullopt);  // an upsert is an event too
    auto created = co_await (*watch)->Next();
    CO_ASSERT(created && !created->error);
    EXPECT_EQ(created->path, "poolers/a/Pooler");
    auto deleted = co_await (*watch)->Next();
    CO_ASSERT(deleted && deleted->error);
    EXPECT_TRUE(Is(*deleted->error, ErrorKind::kNoNode));
    EXPECT_EQ(deleted->path, "poolers/a/Pooler");
    auto next = co_await (*watch)->Next();
    CO_ASSERT(next && !next->error);
    EXPECT_EQ(next->path, "poolers/b/Pooler");
    EXPECT_EQ(next->contents, "2");
  });
}

TEST_P(ConnectionContract, ACancelledWatchEndsWithInterrupted) {
  Run([](World& w) -> Awaitable<void> {
    auto watch = co_await w.a.OpenWatch(w.Soon(), "poolers", WatchScope::kDirectory);
    CO_ASSERT(watch);
    (*watch)->Cancel();
    auto event = co_await (*watch)->Next();
    CO_ASSERT(event && event->error);
    EXPECT_TRUE(Is(*event->error, ErrorKind::kInterrupted));
    auto end = co_await (*watch)->Next();
    EXPECT_FALSE(end);
  });
}

TEST_P(ConnectionContract, ClosingAConnectionEndsItsWatches) {
  Run([](World& w) -> Awaitable<void> {
    auto c = w.store.Connect();
    auto watch = co_await c->OpenWatch(w.Soon(), "poolers", WatchScope::kDirectory);
    CO_ASSERT(watch);
    co_await c->Close();
    auto event = co_await (*watch)->Next();
    CO_ASSERT(event && event->error);
    EXPECT_FALSE(Is(*event->error, ErrorKind::kNoNode));
    watch->reset();
  });
}

}  // namespace multigres::topo
