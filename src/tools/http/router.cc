#include "tools/http/router.h"

#include <set>

#include "tools/result/check.h"

namespace multigres::http {

namespace {

std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> segments;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto segment = path.substr(0, path.find('/'));
    segments.emplace_back(segment);
    path.remove_prefix(segment.size());
  }
  return segments;
}

bool IsParameter(std::string_view segment) {
  return segment.size() > 2 && segment.starts_with('{') && segment.ends_with('}');
}

// One digit a segment, more specific is less: compared like strings, so the first segment counts most.
std::string Rank(const std::vector<std::string>& segments, bool prefix) {
  std::string rank;
  for (const auto& segment : segments) rank.push_back(IsParameter(segment) ? '1' : '0');
  if (prefix) rank.push_back('2');
  return rank;
}

Awaitable<Response> RunSync(const std::function<Response(const Request&)>& handler, const Request& request) {
  co_return handler(request);
}

}  // namespace

void Router::Handle(std::string method, std::string pattern, Handler handler) {
  CHECK(pattern.starts_with('/'), "a route starts with /");
  Route route{.method = std::move(method), .segments = Split(pattern), .handler = std::move(handler)};
  if (route.segments.back().empty()) {
    route.prefix = true;
    route.segments.pop_back();
  }
  routes_.push_back(std::move(route));
}

void Router::HandleSync(std::string method, std::string pattern, std::function<Response(const Request&)> handler) {
  auto shared = std::make_shared<std::function<Response(const Request&)>>(std::move(handler));
  Handle(std::move(method), std::move(pattern), [shared](const Request& request) { return RunSync(*shared, request); });
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  const std::vector<std::string> segments = Split(path);
  const auto matches = [&](const Route& route) {
    if (route.prefix ? segments.size() < route.segments.size() : segments.size() != route.segments.size()) return false;
    for (std::size_t i = 0; i < route.segments.size(); ++i) {
      if (IsParameter(route.segments[i]) ? segments[i].empty() : route.segments[i] != segments[i]) return false;
    }
    return true;
  };
  const auto takes = [&](const Route& route) {
    return route.method == "*" || route.method == method || (route.method == "GET" && method == "HEAD");
  };
  // The most specific pattern decides, whatever its methods: a catch-all must not answer for a route's wrong method.
  std::string best_rank = "9";
  for (const Route& route : routes_) {
    if (matches(route)) best_rank = std::min(best_rank, Rank(route.segments, route.prefix));
  }
  Match match;
  std::set<std::string> allowed;
  for (const Route& route : routes_) {
    if (!matches(route) || Rank(route.segments, route.prefix) != best_rank) continue;
    if (takes(route)) {
      if (match.handler != nullptr) continue;
      match.handler = &route.handler;
      for (std::size_t i = 0; i < route.segments.size(); ++i) {
        const std::string& name = route.segments[i];
        if (IsParameter(name)) match.params.emplace_back(name.substr(1, name.size() - 2), segments[i]);
      }
    }
    allowed.insert(route.method);
    if (route.method == "GET") allowed.insert("HEAD");
  }
  for (const std::string& name : allowed) match.allow.append(match.allow.empty() ? "" : ", ").append(name);
  return match;
}

}  // namespace multigres::http
