#include "tools/net/tls.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <list>

#include "tools/async/task_group.h"
#include "tools/net/socket.h"
#include "tools/result/check.h"

namespace multigres {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A certificate and its key, signed by another one or by itself, as PEM files.
class Identity {
 public:
  Identity(const std::string& folder, const std::string& name, const Identity* issuer, const std::string& san = "") {
    key_ = EVP_EC_gen("P-256");
    certificate_ = X509_new();
    static long serial = 1;
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* subject = X509_get_subject_name(certificate_);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate_, issuer ? X509_get_subject_name(issuer->certificate_) : subject);
    if (issuer == nullptr) AddExtension(NID_basic_constraints, "critical,CA:TRUE");
    if (!san.empty()) AddExtension(NID_subject_alt_name, san);
    X509_sign(certificate_, issuer ? issuer->key_ : key_, EVP_sha256());
    cert_file = folder + "/" + name + ".crt";
    key_file = folder + "/" + name + ".key";
    FILE* file = std::fopen(cert_file.c_str(), "w");
    PEM_write_X509(file, certificate_);
    std::fclose(file);
    file = std::fopen(key_file.c_str(), "w");
    PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
  }
  ~Identity() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  std::string cert_file, key_file;
  X509* certificate() const { return certificate_; }

 private:
  void AddExtension(int nid, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    CHECK(extension != nullptr);
    X509_add_ext(certificate_, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EVP_PKEY* key_;
  X509* certificate_;
};

// Lets through a few bytes at a time and refuses every other attempt.
class ChoppyStream final : public ByteStream {
 public:
  explicit ChoppyStream(std::unique_ptr<ByteStream> below) : below_(std::move(below)) {}
  Awaitable<Result<>> WaitReadable() override { return below_->WaitReadable(); }
  Awaitable<Result<>> WaitWritable() override { return below_->WaitWritable(); }
  Result<IoOutcome> TryRead(std::span<std::byte> buffer) override {
    if (++turn_ % 2 == 0) return IoOutcome{IoStatus::kWouldBlock, 0};
    return below_->TryRead(buffer.first(std::min<std::size_t>(buffer.size(), 113)));
  }
  Result<IoOutcome> TryWrite(std::span<const iovec> buffers) override {
    if (++turn_ % 2 == 0) return IoOutcome{IoStatus::kWouldBlock, 0};
    const iovec few{buffers[0].iov_base, std::min<std::size_t>(buffers[0].iov_len, 71)};
    return below_->TryWrite({&few, 1});
  }
  void CancelWaits() override { below_->CancelWaits(); }
  void ShutdownWrite() override { below_->ShutdownWrite(); }
  void Close() override { below_->Close(); }
  std::string PeerName() const override { return below_->PeerName(); }
  int fd() const override { return below_->fd(); }

 private:
  std::unique_ptr<ByteStream> below_;
  unsigned turn_ = 0;
};

std::string MakeFolder() {
  std::string folder = testing::TempDir() + "/tlsXXXXXX";
  CHECK(::mkdtemp(folder.data()) != nullptr);
  return folder;
}

using Accepted = Result<std::unique_ptr<TlsStream>>;

Awaitable<void> AcceptInto(Reactor& reactor, std::unique_ptr<ByteStream> stream, std::shared_ptr<TlsContext> context,
                           Deadline deadline, std::string initial, std::optional<Accepted>& out) {
  out = co_await TlsAccept(reactor, std::move(stream), std::move(context), deadline, std::move(initial));
}

class TlsTest : public testing::Test {
 protected:
  TlsTest()
      : folder_(MakeFolder()),
        ca_(folder_, "ca", nullptr),
        other_ca_(folder_, "other-ca", nullptr),
        server_(folder_, "server", &ca_, "DNS:db.example.com,IP:127.0.0.1"),
        client_(folder_, "client", &ca_),
        stranger_(folder_, "stranger", &other_ca_) {}
  ~TlsTest() override { std::filesystem::remove_all(folder_); }

  static TlsFiles Files(const Identity& identity, const Identity* ca = nullptr) {
    return {identity.cert_file, identity.key_file, ca ? ca->cert_file : ""};
  }
  std::shared_ptr<TlsContext> ServerContext(TlsServerOptions options) {
    auto context = TlsContext::Server(std::move(options));
    EXPECT_TRUE(context) << context.error().ToString();
    return *context;
  }
  std::shared_ptr<TlsContext> ClientContext(TlsClientOptions options) {
    auto context = TlsContext::Client(std::move(options));
    EXPECT_TRUE(context) << context.error().ToString();
    return *context;
  }
  std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> Pair() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    return {Listener::Adopt(reactor(), fds[0]), Listener::Adopt(reactor(), fds[1])};
  }
  Deadline Soon() { return reactor().clock().After(seconds(20)); }

  struct Both {
    Accepted server{Fail(Code::kUnknown, "not run")};
    Accepted client{Fail(Code::kUnknown, "not run")};
  };
  static Awaitable<void> ShakeHands(TlsTest& test, std::unique_ptr<ByteStream> server_end,
                                    std::unique_ptr<ByteStream> client_end, std::shared_ptr<TlsContext> server,
                                    std::shared_ptr<TlsContext> client, std::string name, Both& both) {
    TaskGroup tasks(test.reactor().executor());
    std::optional<Accepted> accepted;
    tasks.Spawn("accept",
                AcceptInto(test.reactor(), std::move(server_end), std::move(server), test.Soon(), {}, accepted));
    both.client = co_await TlsConnect(test.reactor(), std::move(client_end), std::move(client), name, test.Soon());
    // TLS 1.3: a refusal by the server shows at the client's first read.
    if (both.client && !accepted) static_cast<void>(co_await (*both.client)->WaitWritable());
    co_await tasks.Join();
    both.server = std::move(*accepted);
  }
  Both Handshake(TlsServerOptions server, TlsClientOptions client, std::string name) {
    reactors_.emplace_back();  // a reactor runs once
    auto [a, b] = Pair();
    Both both;
    RunOnReactor(reactor(), ShakeHands(*this, std::move(a), std::move(b), ServerContext(std::move(server)),
                                       ClientContext(std::move(client)), std::move(name), both));
    return both;
  }
  void Run(Awaitable<void> body) { RunOnReactor(reactor(), std::move(body)); }
  Reactor& reactor() { return reactors_.back(); }

  std::list<Reactor> reactors_{1};
  std::string folder_;
  Identity ca_, other_ca_, server_, client_, stranger_;
};

Awaitable<void> SendAll(ByteStream& stream, const std::string& text) {
  auto sent = co_await WriteAll(stream, std::as_bytes(std::span(text)));
  EXPECT_TRUE(sent) << sent.error().ToString();
}

Awaitable<void> Exchange(Reactor& reactor, ByteStream& from, ByteStream& to, std::size_t bytes, bool& done) {
  std::string sent(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) sent[i] = static_cast<char>(i * 31 >> 3);
  TaskGroup tasks(reactor.executor());
  tasks.Spawn("send", SendAll(from, sent));
  std::string received(bytes, '\0');
  auto read = co_await ReadExactly(to, std::as_writable_bytes(std::span(received)));
  EXPECT_TRUE(read) << read.error().ToString();
  EXPECT_TRUE(received == sent);
  co_await tasks.Join();
  done = true;
}

class TlsPairTest : public TlsTest {
 protected:
  static Awaitable<void> Body(TlsPairTest& test, bool choppy, std::size_t bytes, bool& done) {
    auto [a, b] = test.Pair();
    if (choppy) {
      a = std::make_unique<ChoppyStream>(std::move(a));
      b = std::make_unique<ChoppyStream>(std::move(b));
    }
    Both both;
    co_await ShakeHands(test, std::move(a), std::move(b), test.ServerContext({.files = Files(test.server_)}),
                        test.ClientContext({.files = {.ca = test.ca_.cert_file}}), "db.example.com", both);
    EXPECT_TRUE(both.server && both.client);
    co_await Exchange(test.reactor(), **both.client, **both.server, bytes, done);
    co_await Exchange(test.reactor(), **both.server, **both.client, bytes, done);
    // close_notify comes through as the end.
    (*both.client)->ShutdownWrite();
    std::array<std::byte, 16> buffer;
    while (true) {
      auto outcome = (*both.server)->TryRead(buffer);
      EXPECT_TRUE(outcome);
      if (!outcome || outcome->status == IoStatus::kEof) break;
      static_cast<void>(co_await (*both.server)->WaitReadable());
    }
  }
};

TEST_F(TlsPairTest, CarriesMegabytesBothWays) {
  bool done = false;
  Run(Body(*this, false, 5 << 20, done));
  EXPECT_TRUE(done);
}

TEST_F(TlsPairTest, SurvivesPartialReadsAndWrites) {
  bool done = false;
  Run(Body(*this, true, 100'001, done));
  EXPECT_TRUE(done);
}

TEST_F(TlsTest, AgreesOnAlpnAndReportsTheConnection) {
  auto both = Handshake({.files = Files(server_), .alpn = {"h2", "postgresql"}, .require_alpn = true},
                        {.files = {.ca = ca_.cert_file}, .alpn = {"postgresql"}}, "db.example.com");
  ASSERT_TRUE(both.client && both.server);
  EXPECT_EQ((*both.server)->alpn(), "postgresql");
  EXPECT_EQ((*both.client)->alpn(), "postgresql");
  EXPECT_EQ((*both.server)->version(), "TLSv1.3");
  EXPECT_TRUE((*both.server)->IsEncrypted());
  EXPECT_GE((*both.server)->cipher_bits(), 128);
  EXPECT_EQ(CertificateSubject((*both.client)->PeerCertificate()), "CN=server");
  EXPECT_EQ((*both.client)->PeerCertificate(), (*both.server)->context().certificate());
}

TEST_F(TlsTest, RefusesAClientWithoutTheRequiredAlpn) {
  auto without = Handshake({.files = Files(server_), .alpn = {"postgresql"}, .require_alpn = true},
                           {.files = {.ca = ca_.cert_file}}, "db.example.com");
  EXPECT_FALSE(without.server);
  EXPECT_FALSE(without.client);
  auto other = Handshake({.files = Files(server_), .alpn = {"postgresql"}},
                         {.files = {.ca = ca_.cert_file}, .alpn = {"h2"}}, "db.example.com");
  EXPECT_FALSE(other.server);
  EXPECT_FALSE(other.client);
}

TEST_F(TlsTest, MutualTlsAcceptsAKnownClient) {
  auto both = Handshake({.files = Files(server_, &ca_)}, {.files = Files(client_, &ca_)}, "127.0.0.1");
  ASSERT_TRUE(both.client && both.server);
  EXPECT_EQ(CertificateCommonName((*both.server)->PeerCertificate()), "client");
}

TEST_F(TlsTest, MutualTlsRefusesAStrangerAndANobody) {
  EXPECT_FALSE(Handshake({.files = Files(server_, &ca_)}, {.files = Files(stranger_, &ca_)}, "127.0.0.1").server);
  EXPECT_FALSE(Handshake({.files = Files(server_, &ca_)}, {.files = {.ca = ca_.cert_file}}, "127.0.0.1").server);
}

TEST_F(TlsTest, ClientRefusesAnUnknownAuthorityAndAWrongName) {
  auto unknown = Handshake({.files = Files(server_)}, {.files = {.ca = other_ca_.cert_file}}, "db.example.com");
  ASSERT_FALSE(unknown.client);
  EXPECT_NE(unknown.client.error().message().find("certificate verify failed"), std::string::npos)
      << unknown.client.error().message();
  EXPECT_EQ(unknown.client.error().execution(), Execution::kDidNotExecute);
  auto wrong = Handshake({.files = Files(server_)}, {.files = {.ca = ca_.cert_file}}, "evil.example.com");
  ASSERT_FALSE(wrong.client);
  EXPECT_NE(wrong.client.error().message().find("ostname mismatch"), std::string::npos)
      << wrong.client.error().message();
}

Awaitable<void> AcceptGarbage(Reactor& reactor, std::unique_ptr<ByteStream> server, std::unique_ptr<ByteStream> client,
                              std::shared_ptr<TlsContext> context, std::string garbage, Deadline deadline,
                              std::optional<Error>& error) {
  co_await SendAll(*client, garbage);
  auto accepted = co_await TlsAccept(reactor, std::move(server), std::move(context), deadline);
  EXPECT_FALSE(accepted);
  if (!accepted) error = accepted.error();
}

TEST_F(TlsTest, GarbageEndsTheHandshake) {
  auto [a, b] = Pair();
  std::optional<Error> error;
  Run(AcceptGarbage(reactor(), std::move(a), std::move(b), ServerContext({.files = Files(server_)}),
                    "GET / HTTP/1.1\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", Soon(), error));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kUnavailable);
}

TEST_F(TlsTest, SilenceTimesOut) {
  auto [a, b] = Pair();
  std::optional<Error> error;
  Run(AcceptGarbage(reactor(), std::move(a), std::move(b), ServerContext({.files = Files(server_)}), "",
                    reactor().clock().After(milliseconds(30)), error));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDeadlineExceeded);
}

// Reads what is there of the client's hello, then hands both to TlsAccept().
Awaitable<void> AcceptAfterPeek(Reactor& reactor, std::unique_ptr<ByteStream> stream,
                                std::shared_ptr<TlsContext> context, Deadline deadline, std::optional<Accepted>& out) {
  std::string first(5, '\0');
  auto read = co_await ReadExactly(*stream, std::as_writable_bytes(std::span(first)));
  EXPECT_TRUE(read);
  out = co_await TlsAccept(reactor, std::move(stream), std::move(context), deadline, first);
}

Awaitable<void> PeekBody(Reactor& reactor, std::unique_ptr<ByteStream> server, std::unique_ptr<ByteStream> client,
                         std::shared_ptr<TlsContext> server_context, std::shared_ptr<TlsContext> client_context,
                         Deadline deadline, bool& done) {
  TaskGroup tasks(reactor.executor());
  std::optional<Accepted> accepted;
  tasks.Spawn("accept", AcceptAfterPeek(reactor, std::move(server), std::move(server_context), deadline, accepted));
  auto connected = co_await TlsConnect(reactor, std::move(client), std::move(client_context), "", deadline);
  co_await tasks.Join();
  EXPECT_TRUE(connected && *accepted);
  if (connected && *accepted) co_await Exchange(reactor, **connected, ***accepted, 100, done);
}

TEST_F(TlsTest, AcceptsBytesThatWereReadBefore) {
  auto [a, b] = Pair();
  bool done = false;
  Run(PeekBody(reactor(), std::move(a), std::move(b), ServerContext({.files = Files(server_)}),
               ClientContext({.verify_server = false}), Soon(), done));
  EXPECT_TRUE(done);
}

TEST_F(TlsTest, ServerEndPointIsTheHashOfTheCertificate) {
  auto context = ServerContext({.files = Files(server_)});
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  X509_digest(server_.certificate(), EVP_sha256(), hash, &length);
  EXPECT_EQ(context->server_end_point(), std::string(reinterpret_cast<char*>(hash), length));
}

TEST_F(TlsTest, BadFilesAreNamed) {
  const auto missing = TlsContext::Server({.files = {"/no/such.crt", server_.key_file, ""}});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("/no/such.crt"), std::string::npos) << missing.error().message();
  EXPECT_FALSE(TlsContext::Server({.files = {server_.cert_file, client_.key_file, ""}}));
  EXPECT_FALSE(TlsContext::Server({.files = {server_.cert_file, "", ""}}));
  EXPECT_FALSE(TlsContext::Server({}));
}

}  // namespace
}  // namespace multigres
