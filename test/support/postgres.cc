#include "test/support/postgres.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "test/support/command.h"
#include "test/support/etcd.h"
#include "tools/process/find_program.h"
#include "tools/result/check.h"

namespace multigres::test {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr auto kStartTime = 60s;
constexpr auto kPoll = 5ms;

std::pair<uid_t, gid_t> RunAs() {
  if (::geteuid() != 0) return {::geteuid(), ::getegid()};
  const passwd* nobody = ::getpwnam("nobody");
  CHECK(nobody != nullptr, "running as root, and there is no user nobody to run PostgreSQL as");
  return {nobody->pw_uid, nobody->pw_gid};
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Tail(const std::string& text) {
  return text.size() <= 2000 ? text : text.substr(text.size() - 2000);
}

Result<> WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::trunc);
  file << text;
  file.close();
  if (!file) return Fail(Code::kInternal, "can't write " + path);
  if (::geteuid() == 0 && ::chown(path.c_str(), RunAs().first, RunAs().second) != 0) {
    return Fail(Code::kInternal, "can't give away " + path);
  }
  return {};
}

Result<> MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directory(path, error);
  fs::permissions(path, fs::perms::owner_all, error);
  if (error) return Fail(Code::kInternal, "can't create " + path);
  if (::geteuid() == 0 && ::chown(path.c_str(), RunAs().first, RunAs().second) != 0) {
    return Fail(Code::kInternal, "can't give away " + path);
  }
  return {};
}

// A shell that waits for our end (we hold the pipe's other side) and then removes the folder. It takes several goes
// while a dying server still writes.
Result<> ArrangeRemoval(const std::string& folder) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return Fail(Code::kInternal, "pipe failed");
  Command command;
  command.argv = {
      "/bin/sh", "-c",
      "read -r ignored; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf \"$0\" 2>/dev/null && exit; sleep 0.3; done", folder};
  command.input_fd = pipe[0];
  command.new_session = true;
  auto started = StartCommand(command);
  ::close(pipe[0]);
  if (!started) return std::unexpected(std::move(started.error()));
  return {};  // pipe[1] stays open as long as we live
}

// The folder that everything of this process is in.
Result<std::string> Root() {
  static const Result<std::string> root = []() -> Result<std::string> {
    const char* base = std::getenv("TMPDIR");
    std::string path = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/multigres-test-XXXXXX";
    if (path.size() > 60) path = "/tmp/multigres-test-XXXXXX";  // a unix socket's path has 107 bytes
    if (::mkdtemp(path.data()) == nullptr) return Fail(Code::kInternal, "mkdtemp " + path + " failed");
    ::chmod(path.c_str(), 0755);
    auto arranged = ArrangeRemoval(path);
    if (!arranged) return std::unexpected(std::move(arranged.error()));
    return path;
  }();
  return root;
}

Command AsPostgres(std::vector<std::string> argv, const std::string& log) {
  Command command;
  command.argv = std::move(argv);
  command.user = RunAs();
  command.output_path = log;
  if (::geteuid() != 0) command.user.reset();
  return command;
}

// The result of initdb, made once.
Result<std::string> Template() {
  static const Result<std::string> made = []() -> Result<std::string> {
    auto folder = PostgresServer::MakeTempDir("template");
    if (!folder) return folder;
    const std::string password_file = *folder + "/password";
    auto written = WriteFile(password_file, "postgres\n");
    if (!written) return std::unexpected(std::move(written.error()));
    std::string data = *folder + "/data";
    const std::string log = *folder + "/initdb.log";
    auto log_made = WriteFile(log, "");
    if (!log_made) return std::unexpected(std::move(log_made.error()));
    auto ran = RunCommand(
        AsPostgres({PostgresServer::BinDir() + "/initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256",
                    "--pwfile", password_file, "--no-sync", "--no-instructions", "--locale=C", "-E", "UTF8"},
                   log));
    if (!ran) return Fail(Code::kInternal, ran.error().message() + ": " + Tail(ReadFile(log)));
    return data;
  }();
  return made;
}

// 'T' = stopped, 'Z' = waits to be collected, ...; 0 = there is no such process.
char StateOf(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

bool HasEnded(pid_t pid) {
  const char state = StateOf(pid);
  return state == '\0' || state == 'Z' || state == 'X';
}

std::vector<pid_t> LiveChildrenOf(pid_t pid) {
  const std::string id = std::to_string(pid);
  std::istringstream list(ReadFile("/proc/" + id + "/task/" + id + "/children"));
  std::vector<pid_t> alive;
  for (pid_t child = 0; list >> child;) {
    if (!HasEnded(child)) alive.push_back(child);
  }
  return alive;
}

std::string Quoted(const std::string& value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'') quoted.push_back('\'');
    quoted.push_back(c);
  }
  return quoted + "'";
}

}  // namespace

uid_t PostgresServer::RunAsUid() {
  return RunAs().first;
}

gid_t PostgresServer::RunAsGid() {
  return RunAs().second;
}

std::string PostgresServer::BinDir() {
  static const std::string dir = [] {
    auto found = FindPostgresBinDir();
    CHECK(found.has_value(), "PostgreSQL's programs are not installed");
    // PATH may have but links to some of them.
    return fs::canonical(*found + "/initdb").parent_path().string();
  }();
  return dir;
}

Result<std::string> PostgresServer::MakeTempDir(const std::string& purpose) {
  static int count = 0;
  auto root = Root();
  if (!root) return root;
  std::string folder = *root + "/" + std::to_string(++count) + "-" + purpose;
  auto made = MakeFolder(folder);
  if (!made) return std::unexpected(std::move(made.error()));
  return folder;
}

PostgresServer::PostgresServer(std::string folder)
    : folder_(std::move(folder)), data_dir_(folder_ + "/data"), socket_dir_(folder_ + "/s") {}

PostgresServer::~PostgresServer() {
  Kill();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<std::unique_ptr<PostgresServer>> PostgresServer::Start(Options options) {
  auto made_template = Template();
  if (!made_template) return std::unexpected(std::move(made_template.error()));
  auto folder = MakeTempDir("pg");
  if (!folder) return std::unexpected(std::move(folder.error()));
  std::unique_ptr<PostgresServer> server(new PostgresServer(*folder));
  auto copied = RunCommand(AsPostgres({"/bin/cp", "-a", *made_template, server->data_dir_}, ""));
  if (!copied) return std::unexpected(std::move(copied.error()));
  auto prepared = MakeFolder(server->socket_dir_);
  if (prepared) prepared = WriteFile(*folder + "/log", "");
  if (prepared) prepared = server->WriteConfiguration(options);
  if (!prepared) return std::unexpected(std::move(prepared.error()));
  // Somebody may take a port between our look and the server's.
  Result<> launched;
  for (int attempt = 0; attempt < 5; ++attempt) {
    server->port_ = FreePort();
    launched = server->Launch();
    if (launched) return server;
    if (server->Log().find("Address already in use") == std::string::npos) break;
  }
  return std::unexpected(std::move(launched.error()));
}

PostgresServer& PostgresServer::Shared() {
  // Not destroyed: it ends with the process.
  static PostgresServer* shared = [] {
    auto started = Start();
    if (!started) {
      std::fprintf(stderr, "can't start PostgreSQL: %s\n", started.error().message().c_str());
      std::exit(1);
    }
    return started->release();
  }();
  return *shared;
}

Result<> PostgresServer::WriteConfiguration(const Options& options) const {
  std::string text = ReadFile(data_dir_ + "/postgresql.conf");
  text +=
      "\nfsync = off\nfull_page_writes = off\nmax_connections = 60\nshared_buffers = 16MB\nwal_level = logical\n"
      "listen_addresses = '127.0.0.1'\nunix_socket_directories = '" +
      socket_dir_ + "'\npassword_encryption = scram-sha-256\nlog_line_prefix = '%m [%p] %q%u@%d '\n";
  for (const auto& [name, value] : options.settings) text += name + " = " + Quoted(value) + "\n";
  auto written = WriteFile(data_dir_ + "/postgresql.conf", text);
  if (!written) return written;
  std::string hba;
  for (const auto& line : options.hba) hba += line + "\n";
  hba +=
      "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\nlocal replication all scram-sha-256\n"
      "host replication all 127.0.0.1/32 scram-sha-256\n";
  return WriteFile(data_dir_ + "/pg_hba.conf", hba);
}

Result<> PostgresServer::Launch() {
  Command command =
      AsPostgres({BinDir() + "/postgres", "-D", data_dir_, "-p", std::to_string(port_)}, folder_ + "/log");
  command.parent_death_signal = SIGQUIT;
  auto started = StartCommand(command);
  if (!started) return std::unexpected(std::move(started.error()));
  pid_ = *started;
  return WaitUntilReady();
}

// postmaster.pid says on its eighth line when connections are taken.
Result<> PostgresServer::WaitUntilReady() {
  const auto deadline = std::chrono::steady_clock::now() + kStartTime;
  while (std::chrono::steady_clock::now() < deadline) {
    std::istringstream lines(ReadFile(data_dir_ + "/postmaster.pid"));
    std::string line;
    std::string first;
    int number = 0;
    while (number < 8 && std::getline(lines, line)) {
      if (number++ == 0) first = line;
    }
    if (number == 8 && first == std::to_string(pid_) && line.starts_with("ready")) return {};
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return Fail(Code::kInternal, "PostgreSQL did not start: " + Tail(Log()));
    }
    std::this_thread::sleep_for(kPoll);
  }
  Kill();
  return Fail(Code::kDeadlineExceeded, "PostgreSQL took too long to start: " + Tail(Log()));
}

std::string PostgresServer::socket_path() const {
  return socket_dir_ + "/.s.PGSQL." + std::to_string(port_);
}

std::string PostgresServer::conninfo() const {
  return "host=" + socket_dir_ + " port=" + std::to_string(port_) + " user=" + user() + " password=" + password() +
         " dbname=postgres";
}

Result<std::string> PostgresServer::Psql(const std::string& sql, const std::string& database) {
  static int count = 0;
  auto root = Root();
  if (!root) return root;
  const std::string output = *root + "/psql" + std::to_string(++count);
  Command command;
  command.argv = {BinDir() + "/psql",
                  "-XqAt",
                  "-v",
                  "ON_ERROR_STOP=1",
                  "-h",
                  socket_dir_,
                  "-p",
                  std::to_string(port_),
                  "-U",
                  user(),
                  "-d",
                  database,
                  "-c",
                  sql};
  command.environment = {"PGPASSWORD=" + password()};
  command.output_path = output;
  auto ran = RunCommand(command);
  std::string text = ReadFile(output);
  std::error_code ignored;
  fs::remove(output, ignored);
  while (text.ends_with('\n')) text.pop_back();
  if (!ran) return Fail(Code::kInternal, "psql: " + text);
  return text;
}

void PostgresServer::Stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGINT);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
}

// The postmaster first, so that it can't react; its children are those that name it as their parent.
void PostgresServer::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGSTOP);
  while (!HasEnded(pid_) && StateOf(pid_) != 'T') std::this_thread::sleep_for(kPoll);
  // The kernel's list leaves some out while others of it end, so it counts once all on it have. Shared memory is in use
  // until then.
  for (auto alive = LiveChildrenOf(pid_); !alive.empty(); alive = LiveChildrenOf(pid_)) {
    for (const pid_t child : alive) ::kill(child, SIGKILL);
    for (const pid_t child : alive) {
      while (!HasEnded(child)) std::this_thread::sleep_for(kPoll);
    }
  }
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
}

Result<> PostgresServer::StartAgain() {
  CHECK(pid_ < 0, "the server still runs");
  return Launch();
}

Result<> PostgresServer::Configure(const std::string& name, const std::string& value) {
  std::ofstream file(data_dir_ + "/postgresql.conf", std::ios::app);
  file << name << " = " << Quoted(value) << "\n";
  file.close();
  if (!file) return Fail(Code::kInternal, "can't write postgresql.conf");
  if (pid_ > 0) ::kill(pid_, SIGHUP);
  return {};
}

std::string PostgresServer::Log() const {
  return ReadFile(folder_ + "/log");
}

}  // namespace multigres::test
