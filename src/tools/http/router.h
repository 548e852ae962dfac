// Which handler answers a path.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/async/awaitable.h"
#include "tools/http/message.h"

namespace multigres::http {

// The request outlives the handler's coroutine.
using Handler = std::function<Awaitable<Response>(const Request&)>;

// Patterns: "/config" matches exactly, "/css/" everything below it, "/cells/{name}" one segment per parameter. The most
// specific pattern wins: literal segments over parameters, over prefixes by length. "/" alone is the catch-all.
// Filled before the server runs; read-only then.
class Router {
 public:
  // `method` "GET" answers HEAD too; "*" takes every method.
  void Handle(std::string method, std::string pattern, Handler handler);
  // For answers that need no waiting.
  void HandleSync(std::string method, std::string pattern, std::function<Response(const Request&)> handler);

  struct Match {
    const Handler* handler = nullptr;  // null: no such route, or (allow not empty) not by this method
    std::vector<std::pair<std::string, std::string>> params;
    std::string allow;  // "GET, HEAD": the methods of the path's routes
  };
  Match Find(std::string_view method, std::string_view path) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    bool prefix = false;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace multigres::http
