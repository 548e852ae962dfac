// A real PostgreSQL server for tests.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/result/error.h"

namespace multigres::test {

// A cluster of its own in a temporary folder, listening on a private unix socket and on a free loopback TCP port; SCRAM
// is required on both. The first server of a process runs initdb, later ones copy its result. As root, the server runs
// as `nobody`. It dies with the process, and its folder goes with it, however the test ends. Start servers from the
// main thread: they end with the thread that started them.
class PostgresServer {
 public:
  struct Options {
    // Lines of postgresql.conf: {"max_connections", "20"}. Values are quoted for you.
    std::vector<std::pair<std::string, std::string>> settings;
    // Lines put before the others into pg_hba.conf.
    std::vector<std::string> hba;
  };

  // Started and accepting connections, or the reason why not (with the end of its log).
  static Result<std::unique_ptr<PostgresServer>> Start(Options options);
  static Result<std::unique_ptr<PostgresServer>> Start() { return Start(Options{}); }
  // The server that all tests of this process share: started on first use. Fails the process if it can't.
  static PostgresServer& Shared();
  ~PostgresServer();

  const std::string& data_dir() const { return data_dir_; }
  // The folder of the unix socket, and the socket itself.
  const std::string& socket_dir() const { return socket_dir_; }
  std::string socket_path() const;
  std::uint16_t port() const { return port_; }
  // The superuser.
  std::string user() const { return "postgres"; }
  std::string password() const { return "postgres"; }
  // libpq's: host=... port=... user=... password=... dbname=postgres
  std::string conninfo() const;
  // The postmaster.
  pid_t pid() const { return pid_; }

  // Runs SQL as the superuser through psql (one transaction per statement, stops at the first error) and gives its
  // unaligned output without headers and without the last line end.
  Result<std::string> Psql(const std::string& sql, const std::string& database = "postgres");

  // Fast (disconnects clients), or as a crash: SIGKILL to every process of it.
  void Stop();
  void Kill();
  // With the same data and ports.
  Result<> StartAgain();
  // Appends to postgresql.conf and has it reloaded; what needs a restart takes effect at the next one.
  Result<> Configure(const std::string& name, const std::string& value);
  // The server's log so far.
  std::string Log() const;

  // Where initdb, postgres and psql are.
  static std::string BinDir();
  // A new folder owned by the user that PostgreSQL runs as here (for other programs that refuse root, too). It is
  // removed when the process has ended.
  static Result<std::string> MakeTempDir(const std::string& purpose);
  // That user: `nobody` as root, else our own.
  static uid_t RunAsUid();
  static gid_t RunAsGid();

 private:
  explicit PostgresServer(std::string folder);
  Result<> WriteConfiguration(const Options& options) const;
  Result<> Launch();
  Result<> WaitUntilReady();

  std::string folder_;
  std::string data_dir_;
  std::string socket_dir_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace multigres::test
