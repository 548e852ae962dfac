// A real etcd server for tests.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/result/error.h"

namespace multigres::test {

// One member of its own, in a temporary folder, on free loopback ports, with short heartbeats (leases of 1 s are
// granted). It dies with the process and its folder goes with it, however the test ends (a process killed outright
// leaves the folder behind).
class EtcdServer {
 public:
  struct Options {
    std::vector<std::string> extra_args;
    // PEM files: serves clients by TLS and demands a certificate of this CA from them. All or none.
    std::string cert_file, key_file, ca_file;
  };
  // Started and healthy, or the reason why not (with the end of its log).
  static Result<std::unique_ptr<EtcdServer>> Start(Options options);
  static Result<std::unique_ptr<EtcdServer>> Start() { return Start(Options{}); }
  // The server that all tests of this process share (each with a root of its own): started on first use. Fails the
  // process if it can't.
  static EtcdServer& Shared();
  ~EtcdServer();

  // "127.0.0.1:<client port>"
  std::string address() const;
  std::uint16_t port() const { return client_port_; }
  pid_t pid() const { return pid_; }
  std::string Log() const;

  // SIGTERM, or SIGKILL; waits for the end. StartAgain() has the same ports and data.
  void Stop();
  void Kill();
  Result<> StartAgain();
  // SIGSTOP and SIGCONT: a server that neither answers nor closes its connections.
  void Freeze();
  void Thaw();

 private:
  explicit EtcdServer(Options options, std::string folder) : options_(std::move(options)), folder_(std::move(folder)) {}
  Result<> Launch();
  void End(int signal);

  Options options_;
  std::string folder_;
  std::uint16_t client_port_ = 0;
  std::uint16_t peer_port_ = 0;
  std::uint16_t metrics_port_ = 0;
  pid_t pid_ = -1;
};

// A loopback TCP port that nobody listens on at this moment.
std::uint16_t FreePort();

}  // namespace multigres::test
