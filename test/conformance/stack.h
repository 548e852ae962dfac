// A gateway, a pooler and a PostgreSQL in one process, joined by real sockets.
#pragma once

#include <memory>
#include <string>

namespace multigres::conformance {

class Stack {
 public:
  // Fails the process if it can't be started.
  Stack();
  ~Stack();

  // libpq's connection strings: straight to the server, and through the gateway.
  std::string direct() const;
  std::string proxied() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace multigres::conformance
