// What only a real etcd can show: servers that end, freeze, forget or want certificates.
#include "common/topoclient/etcdtopo/etcd_topo.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "common/topoclient/etcdtopo/etcd_watch.h"
#include "common/topoclient/test_macros.h"
#include "test/support/etcd.h"
#include "tools/fs/file.h"

namespace multigres::topo {
namespace {

using namespace std::chrono_literals;
using test::EtcdServer;

struct World {
  Reactor reactor;
  EtcdOptions options;
  std::string status = "never reported";

  std::unique_ptr<Connection> Connect(std::vector<std::string> addresses) {
    ConnectionSpec spec;
    spec.cell = "global";
    spec.addresses = std::move(addresses);
    spec.root = "/multigres/global/";
    spec.on_status = [this](const std::string& text) { status = text; };
    return NewEtcdBackend(reactor, options)->Connect(std::move(spec));
  }
  CallContext Soon(Duration time = 5s) {
    CallContext context;
    context.deadline = reactor.clock().After(time);
    return context;
  }
  // Tries until it succeeds; false if it never does.
  Awaitable<bool> CreateInTheEnd(Connection& connection, std::string key) {
    const Deadline limit = reactor.clock().After(20s);
    while (!limit.Passed(reactor.clock().Now())) {
      auto created = co_await connection.Create(Soon(), key, "x");
      if (created || Is(created.error(), ErrorKind::kNodeExists)) co_return true;
      co_await SleepFor(reactor.clock(), 20ms);
    }
    co_return false;
  }
  static void Run(Awaitable<void> (*body)(World&, EtcdServer&), EtcdServer::Options options = {}) {
    auto server = EtcdServer::Start(std::move(options));
    ASSERT_TRUE(server) << server.error().message();
    World world;
    RunOnReactor(world.reactor, body(world, **server));
  }
};

TEST(EtcdTopo, FailsFastWithoutAServerAndRecoversByItself) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    server.Kill();
    auto connection = w.Connect({server.address()});
    auto refused = co_await connection->Get({}, "k");
    EXPECT_EQ(refused.error().code(), Code::kUnavailable);
    EXPECT_EQ(refused.error().message(), "no connection available");
    EXPECT_NE(w.status, "");
    EXPECT_NE(w.status, "never reported");
    EXPECT_TRUE(server.StartAgain());
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "k"));
    EXPECT_EQ(w.status, "");
    co_await connection->Close();
  });
}

TEST(EtcdTopo, TriesTheServersInTurn) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    auto connection = w.Connect({fmt::format("127.0.0.1:{}", test::FreePort()), server.address()});
    auto created = co_await connection->Create(w.Soon(), "k", "x");
    EXPECT_TRUE(created) << Explain(created);
    co_await connection->Close();
  });
}

TEST(EtcdTopo, AWatchOutlivesARestartOfTheServer) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    auto connection = w.Connect({server.address()});
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "poolers/a/Pooler"));
    auto watch = co_await connection->OpenWatch(w.Soon(), "poolers", WatchScope::kDirectory);
    CO_ASSERT(watch);
    server.Kill();
    EXPECT_TRUE(server.StartAgain());
    auto writer = w.Connect({server.address()});
    EXPECT_TRUE(co_await w.CreateInTheEnd(*writer, "poolers/b/Pooler"));
    auto event = co_await (*watch)->Next();
    CO_ASSERT(event && !event->error);
    EXPECT_EQ(event->path, "poolers/b/Pooler");
    watch->reset();
    co_await writer->Close();
    co_await connection->Close();
  });
}

TEST(EtcdTopo, ALockOutlivesARestartOfTheServer) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    auto connection = w.Connect({server.address()});
    LockRequest request;
    request.path = "shard";
    request.require_directory = false;
    request.ttl = 3s;
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "k"));
    auto lock = co_await connection->AcquireLock(w.Soon(), request);
    CO_ASSERT(lock);
    server.Kill();
    EXPECT_TRUE(server.StartAgain());
    const bool lost = co_await (*lock)->lost().WaitUntil(w.reactor.clock(), w.Soon(4s).deadline);
    EXPECT_FALSE(lost);
    auto check = co_await (*lock)->Check(w.Soon());
    EXPECT_TRUE(check) << Explain(check);
    auto unlocked = co_await (*lock)->Unlock(w.Soon());
    EXPECT_TRUE(unlocked) << Explain(unlocked);
    lock->reset();
    co_await connection->Close();
  });
}

TEST(EtcdTopo, AFrozenServerCostsADeadlineAndNoMore) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    auto connection = w.Connect({server.address()});
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "k"));
    server.Freeze();
    auto late = co_await connection->Get(w.Soon(200ms), "k");
    EXPECT_TRUE(!late && Is(late.error(), ErrorKind::kTimeout)) << Explain(late);
    server.Thaw();
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "k"));
    co_await connection->Close();
  });
}

TEST(EtcdTopo, CompactionOfWhatAWatchHasNotSeenEndsIt) {
  World::Run([](World& w, EtcdServer& server) -> Awaitable<void> {
    auto connection = w.Connect({server.address()});
    EXPECT_TRUE(co_await w.CreateInTheEnd(*connection, "k"));
    Version last = 0;
    for (int i = 0; i < 5; ++i) {
      auto version = co_await connection->Update(w.Soon(), "k", std::to_string(i), std::nullopt);
      CO_ASSERT(version);
      last = *version;
    }
    const std::string compact =
        fmt::format("ETCDCTL_API=3 etcdctl --endpoints={} compact {} >/dev/null 2>&1", server.address(), last);
    EXPECT_EQ(std::system(compact.c_str()), 0);

    EtcdClient client(w.reactor, {}, {.cell = "global", .addresses = {server.address()}, .root = "/", .on_status = {}});
    EtcdWatchSpec spec;
    spec.key = "/multigres/global/k";
    spec.base = "/multigres/global/";
    spec.next_revision = 1;
    auto feed = std::make_shared<Watch::Feed>();
    TaskGroup tasks(w.reactor.executor());
    tasks.Spawn("watch", FeedEtcdWatch(client, spec, feed));
    auto event = co_await feed->events.Pop();
    CO_ASSERT(event && event->error);
    EXPECT_NE(event->error->message().find("compacted"), std::string::npos) << event->error->message();
    co_await tasks.Join();
    co_await client.Close();
    co_await connection->Close();
  });
}

TEST(EtcdTopo, SpeaksTlsWithAClientCertificate) {
  auto folder = fs::TempDir::Create("etcd-tls");
  ASSERT_TRUE(folder);
  const std::string base = folder->path();
  const std::string make = fmt::format(
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
      "-keyout {0}/key.pem -out {0}/cert.pem >/dev/null 2>&1",
      base);
  ASSERT_EQ(std::system(make.c_str()), 0);
  EtcdServer::Options tls;
  tls.cert_file = tls.ca_file = base + "/cert.pem";
  tls.key_file = base + "/key.pem";
  auto server = EtcdServer::Start(tls);
  ASSERT_TRUE(server) << server.error().message();
  World world;
  world.options.tls_ca_file = base + "/cert.pem";  // alone it is ignored
  RunOnReactor(world.reactor, [](World& w, EtcdServer& server, std::string base) -> Awaitable<void> {
    auto plain = w.Connect({server.address()});
    auto refused = co_await plain->Get(w.Soon(), "k");
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().message(), "no connection available");
    co_await plain->Close();
    w.options.tls_cert_file = base + "/cert.pem";
    w.options.tls_key_file = base + "/key.pem";
    auto connection = w.Connect({server.address()});
    auto created = co_await connection->Create(w.Soon(), "k", "x");
    EXPECT_TRUE(created) << Explain(created);
    co_await connection->Close();
  }(world, **server, base));
}

}  // namespace
}  // namespace multigres::topo
