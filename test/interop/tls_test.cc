// TLS and mutual TLS between our runtime and grpc++.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "certificate.h"
#include "common/rpc/channel.h"
#include "grpcxx_server.h"
#include "interop.grpc.pb.h"
#include "interop.rpc.h"
#include "our_server.h"
#include "tools/result/check.h"

namespace multigres::interop {
namespace {

using ::interop::Request;
using ::interop::Response;
using std::chrono::seconds;

std::string MakeFolder() {
  std::string folder = testing::TempDir() + "interop-tls-XXXXXX";
  CHECK(mkdtemp(folder.data()) != nullptr);
  return folder;
}

class Tls : public testing::Test {
 protected:
  ~Tls() override { std::filesystem::remove_all(folder_); }

  grpc::Status CallOurs(const OurServer& server, grpc::SslCredentialsOptions credentials) const {
    credentials.pem_root_certs = authority_.CertPem();
    const auto stub = ::interop::Interop::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(server.port()), grpc::SslCredentials(credentials)));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(20));
    Response response;
    return stub->Unary(&context, Request(), &response);
  }

  // A grpc++ server that demands a client's certificate.
  std::shared_ptr<grpc::ServerCredentials> MutualCredentials() const {
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_key_cert_pairs.push_back({server_.KeyPem(), server_.CertPem()});
    options.pem_root_certs = authority_.CertPem();
    return grpc::SslServerCredentials(options);
  }

  const std::string folder_ = MakeFolder();
  const Certificate authority_{folder_, "authority"};
  const Certificate server_{folder_, "server", &authority_};
  const Certificate client_{folder_, "client", &authority_};
  const Certificate stranger_authority_{folder_, "stranger-authority"};
  const Certificate stranger_{folder_, "stranger", &stranger_authority_};
};

Awaitable<void> CallOnce(Reactor& reactor, std::uint16_t port, rpc::TlsOptions tls, Result<Response>& result) {
  rpc::ChannelOptions options;
  options.tls = std::move(tls);
  const auto channel = rpc::Channel::Create(reactor, TcpAddress{"127.0.0.1", port}, std::move(options));
  ::interop::rpc::InteropClient client(*channel);
  Request request;
  request.set_payload("secret");
  rpc::CallOptions call_options;
  call_options.deadline = reactor.clock().After(seconds(20));
  result = co_await client.Unary(request, call_options);
  co_await channel->Close();
}

Result<Response> CallGrpcxx(const GrpcxxServer& server, rpc::TlsOptions tls) {
  Result<Response> result;
  Reactor reactor;
  RunOnReactor(reactor, CallOnce(reactor, server.port(), std::move(tls), result));
  return result;
}

TEST_F(Tls, GrpcxxClientTrustsOurServer) {
  rpc::ServerOptions options;
  options.tls = {.cert_file = server_.cert_file(), .key_file = server_.key_file()};
  const OurServer server(options);
  const grpc::Status status = CallOurs(server, {});
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(Tls, OurServerDemandsACertificateOfItsAuthority) {
  rpc::ServerOptions options;
  options.tls = {.cert_file = server_.cert_file(), .key_file = server_.key_file(), .ca_file = authority_.cert_file()};
  const OurServer server(options);
  const grpc::Status known =
      CallOurs(server, {.pem_private_key = client_.KeyPem(), .pem_cert_chain = client_.CertPem()});
  EXPECT_TRUE(known.ok()) << known.error_message();
  EXPECT_FALSE(CallOurs(server, {}).ok());
  EXPECT_FALSE(CallOurs(server, {.pem_private_key = stranger_.KeyPem(), .pem_cert_chain = stranger_.CertPem()}).ok());
}

TEST_F(Tls, OurServerAdmitsOnlyTheNamedSubjects) {
  rpc::ServerOptions options;
  options.tls = {.cert_file = server_.cert_file(), .key_file = server_.key_file(), .ca_file = authority_.cert_file()};
  options.allowed_subject_substrings = {"gateway", "client"};
  const OurServer open(options);
  const grpc::SslCredentialsOptions credentials{.pem_private_key = client_.KeyPem(),
                                                .pem_cert_chain = client_.CertPem()};
  EXPECT_TRUE(CallOurs(open, credentials).ok());
  options.allowed_subject_substrings = {"gateway"};
  const OurServer closed(options);
  EXPECT_EQ(CallOurs(closed, credentials).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(Tls, OurClientShowsItsCertificate) {
  const GrpcxxServer server({}, MutualCredentials());
  const auto response = CallGrpcxx(
      server, {.cert_file = client_.cert_file(), .key_file = client_.key_file(), .ca_file = authority_.cert_file()});
  EXPECT_TRUE(response.has_value()) << response.error().ToString();
  EXPECT_EQ(response.value_or(Response()).payload(), "secret");
}

TEST_F(Tls, OurClientRefusesAStrangersServer) {
  const GrpcxxServer server({}, MutualCredentials());
  const auto response = CallGrpcxx(
      server,
      {.cert_file = client_.cert_file(), .key_file = client_.key_file(), .ca_file = stranger_authority_.cert_file()});
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code(), Code::kUnavailable) << response.error().ToString();
  EXPECT_EQ(response.error().execution(), Execution::kDidNotExecute);
}

}  // namespace
}  // namespace multigres::interop
