// A libpq client that writes down everything it sees.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

namespace multigres::conformance {

class Client {
 public:
  explicit Client(const std::string& conninfo);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // A Query message; "copy < text" lines feed a COPY FROM STDIN. What came back, as text: results, errors with
  // position, notices, parameter changes, transaction status.
  std::string Query(const std::string& sql, const std::string& copy_input = "");
  // Parse, Bind, Describe, Execute, Sync with text parameters.
  std::string Extended(const std::string& sql, const std::vector<std::string>& params);
  std::string Prepare(const std::string& name, const std::string& sql);
  std::string ExecutePrepared(const std::string& name, const std::vector<std::string>& params);
  // Several of them in one pipeline, ended by one Sync.
  std::string Pipeline(const std::vector<std::string>& statements);

  PGconn* connection() { return connection_; }

 private:
  std::string Collect(const std::string& copy_input);
  std::string Finish(std::string seen);
  static void OnNotice(void* self, const PGresult* result);

  PGconn* connection_;
  std::string notices_;
  std::vector<std::string> parameters_;
};

}  // namespace multigres::conformance
