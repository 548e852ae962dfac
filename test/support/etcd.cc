#include "test/support/etcd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "tools/result/check.h"

namespace multigres::test {

using namespace std::chrono_literals;

namespace {

constexpr auto kStartTime = 20s;

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool Healthy(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const timeval limit{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    constexpr std::string_view kRequest = "GET /health HTTP/1.0\r\n\r\n";
    if (::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) > 0) {
      std::array<char, 1024> buffer{};
      ssize_t size = 0;
      while ((size = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0) {
        answer.append(buffer.data(), static_cast<std::size_t>(size));
      }
    }
  }
  ::close(fd);
  return answer.find("\"health\":\"true\"") != std::string::npos;
}

Result<std::string> MakeFolder() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base != nullptr && *base != 0 ? base : "/tmp") + "/multigres-etcd-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return Fail(Code::kInternal, "mkdtemp " + path + " failed");
  return path;
}

}  // namespace

std::uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  CHECK(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, "bind to a free port");
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

Result<std::unique_ptr<EtcdServer>> EtcdServer::Start(Options options) {
  std::string why;
  // Somebody may take a port between our look and etcd's.
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto folder = MakeFolder();
    if (!folder) return std::unexpected(folder.error());
    std::unique_ptr<EtcdServer> server(new EtcdServer(options, *folder));
    server->client_port_ = FreePort();
    server->peer_port_ = FreePort();
    server->metrics_port_ = FreePort();
    auto launched = server->Launch();
    if (launched) return server;
    why = launched.error().message();
  }
  return Fail(Code::kUnavailable, why);
}

EtcdServer& EtcdServer::Shared() {
  static std::unique_ptr<EtcdServer> server = [] {
    auto started = Start();
    CHECK(started, started ? "" : started.error().message());
    return std::move(*started);
  }();
  return *server;
}

EtcdServer::~EtcdServer() {
  End(SIGKILL);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string EtcdServer::address() const {
  return fmt::format("127.0.0.1:{}", client_port_);
}

Result<> EtcdServer::Launch() {
  const std::string_view scheme = options_.cert_file.empty() ? "http" : "https";
  const std::string client = fmt::format("{}://127.0.0.1:{}", scheme, client_port_);
  const std::string metrics = fmt::format("http://127.0.0.1:{}", metrics_port_);
  const std::string peer = fmt::format("http://127.0.0.1:{}", peer_port_);
  std::vector<std::string> args = {"etcd",
                                   "--name=default",
                                   "--data-dir=" + folder_ + "/data",
                                   "--listen-client-urls=" + client,
                                   "--advertise-client-urls=" + client,
                                   "--listen-metrics-urls=" + metrics,
                                   "--listen-peer-urls=" + peer,
                                   "--initial-advertise-peer-urls=" + peer,
                                   "--initial-cluster=default=" + peer,
                                   "--heartbeat-interval=20",
                                   "--election-timeout=200",
                                   "--log-outputs=stderr"};
  if (!options_.cert_file.empty()) {
    args.insert(args.end(), {"--cert-file=" + options_.cert_file, "--key-file=" + options_.key_file,
                             "--trusted-ca-file=" + options_.ca_file, "--client-cert-auth"});
  }
  args.insert(args.end(), options_.extra_args.begin(), options_.extra_args.end());
  std::vector<char*> argv;
  argv.reserve(args.size() + 1);
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  const std::string log = folder_ + "/log";
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) return Fail(Code::kInternal, "fork failed");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::execvp("etcd", argv.data());
    ::_exit(127);
  }
  const auto limit = std::chrono::steady_clock::now() + kStartTime;
  while (std::chrono::steady_clock::now() < limit) {
    if (Healthy(metrics_port_)) return {};
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return Fail(Code::kUnavailable, "etcd ended at once: " + Log());
    }
    std::this_thread::sleep_for(10ms);
  }
  return Fail(Code::kUnavailable, "etcd did not become healthy: " + Log());
}

std::string EtcdServer::Log() const {
  std::ifstream file(folder_ + "/log");
  std::stringstream text;
  text << file.rdbuf();
  const std::string log = text.str();
  return log.size() > 4000 ? log.substr(log.size() - 4000) : log;
}

void EtcdServer::End(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
}

void EtcdServer::Stop() {
  End(SIGTERM);
}

void EtcdServer::Kill() {
  End(SIGKILL);
}

Result<> EtcdServer::StartAgain() {
  return Launch();
}

void EtcdServer::Freeze() {
  ::kill(pid_, SIGSTOP);
}

void EtcdServer::Thaw() {
  ::kill(pid_, SIGCONT);
}

}  // namespace multigres::test
